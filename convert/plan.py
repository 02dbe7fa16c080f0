"""BuildPlan: all that is decided before a bundle is built, frozen; the command line only fills it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.errors import UsageError
from engines.manifest import Family, Precision

ArtifactKey = tuple[Precision, Family]

ARTIFACTS: tuple[ArtifactKey, ...] = (("fp32", "any"), ("fp16", "any"), ("int8", "cpu"), ("int8", "tensorrt"))
CALIBRATION_MINIMUM = 200  # fewer pictures than this leave activation ranges to chance


def choose_artifacts(without: Sequence[str]) -> tuple[ArtifactKey, ...]:
    """Return all artifacts but those named, as ``fp16``, ``int8-cpu`` or ``int8-tensorrt``.

    Raises
    ------
    UsageError
        A name is of no artifact, or fp32, which all others are compared with.
    """
    names = {f"{precision}-{family}".removesuffix("-any"): (precision, family) for precision, family in ARTIFACTS}
    kept = [name for name in without if name not in names or name == "fp32"]
    if kept:
        because = "all others are compared with it" if kept[0] == "fp32" else "it is no artifact"
        others = [name for name in names if name != "fp32"]
        raise UsageError(f"'{kept[0]}' cannot be left out", because, f"choose from {', '.join(others)}")
    return tuple(key for name, key in names.items() if name not in without)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Kuo's recipe, scaled down until two CPU cores train it in minutes (Kuo 2019; clinic-and-paper 1.1, 1.5)."""

    members: int = 3
    epochs: int = 10
    seed: int = 2019
    batch: int = 32
    learning_rate: float = 4e-3  # peak of the one-cycle schedule
    weight_decay: float = 2e-2
    channels: tuple[int, ...] = (16, 32, 64, 96)  # stem, then one residual block each
    strides: tuple[int, ...] = (2, 2, 1)  # of the blocks; after a stem of stride 4 the last map is 14 x 14
    oversample: float = 2.0  # size of the bootstrap sample in patients; Kuo 2019: double
    tree_rounds: int = 80
    tree_depth: int = 3
    threads: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises
        ------
        UsageError
            A number is outside its range.
        """
        for name, low, high in (("members", 1, 10), ("epochs", 1, 500), ("batch", 2, 512), ("tree_depth", 1, 6)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError("Training cannot start", f"{name} is {value}", f"choose {name} from {low} to {high}")


@dataclass(frozen=True, slots=True)
class ParityLimits:
    """What an artifact may differ from fp32 on held-out crops.

    Regressions: quantiles of |delta| and the distance of a flip from a category boundary, in multiples of the head's
    ``resolution``. Probabilities and grades: in probability, 0..1. Boosted trees jump from leaf to leaf by the
    last bit of a feature, so neither size nor flips are held against theirs: what they must keep is the AUC.
    """

    regression_p95: float
    regression_p99: float
    probability_p95: float
    probability_far: float  # a flip from farther than this from the cut is one too many
    auc_loss: float
    map_correlation: float
    regression_far: float = 1.0  # the same, from a category boundary: nearer it is a coin that fell the other way
    flips_far: int = 0


LIMITS: dict[Precision, ParityLimits] = {
    "fp32": ParityLimits(0.0, 0.0, 0.0, probability_far=0.0, auc_loss=0.0, map_correlation=1.0),
    "fp16": ParityLimits(0.2, 0.2, 0.01, probability_far=0.01, auc_loss=0.005, map_correlation=0.99),
    "int8": ParityLimits(1.0, 2.0, 0.05, probability_far=0.05, auc_loss=0.005, map_correlation=0.98),
}


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """One bundle to be built: from what, where to, how, and within which limits."""

    dataset: Path
    bundle: Path
    work: Path  # finished members are kept here, so that conversion can be repeated without training
    force: bool = False
    training: TrainingPlan = field(default_factory=TrainingPlan)
    artifacts: tuple[ArtifactKey, ...] = ARTIFACTS
    calibration_crops: int = 320
    interval_level: float = 0.9
    bundle_id: str = "synthetic-standin"
    version: str = "1.0.0"
    title: str = "SYNTHETIC stand-in (phantom-trained)"
    separate_members: bool = False  # one artifact a member, for devices that cannot hold all at once
    sensitivity: bool = True  # look for layers to leave in float where INT8 exceeds its limits

    def __post_init__(self) -> None:
        """Refuse a plan that would be refused after hours of work anyway.

        Raises
        ------
        UsageError
            fp32 is missing, or there are too few calibration crops.
        """
        if ("fp32", "any") not in self.artifacts:
            raise UsageError(
                "The bundle cannot be built", "fp32 is left out and all others are measured against it", "add fp32"
            )
        if self.calibration_crops < CALIBRATION_MINIMUM:
            raise UsageError(
                "INT8 cannot be calibrated",
                f"{self.calibration_crops} crops were asked for and ranges of so few are chance",
                f"use at least {CALIBRATION_MINIMUM}",
            )
