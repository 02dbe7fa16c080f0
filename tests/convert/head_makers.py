"""Small models of any heads, with crops of their own: what the prover and the evaluation are tried on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from convert.assemble import assemble
from convert.crop_proof import CropProver
from convert.crops import Crops
from convert.crops.counts import count
from convert.graph.ensemble import write_graph
from convert.graph.parts import Convolution, Ensemble, LinearHead, Member, Plain, Trunk
from convert.manifests import Claims, Material
from convert.origin import Origin, SourceFile
from convert.plan import ArtifactKey, BuildPlan
from engines.bundle import Bundle, open_bundle
from engines.manifest import GradesHead, HeadSpec, ProbabilityHead, RegressionHead, TrainingSpec

SIZE, PATIENTS, EACH = 48, 70, 3
LESION = ProbabilityHead(
    name="lesion", title="Lesion", quantity="other", event="lesion in view", output="lesion_members", map="lesion_map"
)
LENGTH = RegressionHead(
    name="length",
    title="Length",
    quantity="other",
    output="length_members",
    map="length_map",
    unit="mm",
    resolution=2.0,
)
ECHO = GradesHead(
    name="echo", title="Echogenicity", output="echo_members", map="echo_map", grades=("low", "mid", "high")
)
HEADS: tuple[HeadSpec, ...] = (LESION, LENGTH, ECHO)
CLAIMS = Claims(synthetic=False, limits=("Research use only.",), crop_mode="legacy_tight", crop_factor=1.2)
FILES = (SourceFile("lesion.pt", "a" * 64),)
ARTIFACTS: tuple[ArtifactKey, ...] = (("fp32", "any"), ("fp16", "any"))


def pictures() -> NDArray[np.uint8]:
    """Ellipses of a brightness and a size of their own."""
    random = np.random.default_rng(5)
    crops = []
    for _ in range(PATIENTS * EACH):
        grey = random.normal(random.uniform(30, 180), 20, (SIZE, SIZE)).clip(0, 255).astype(np.uint8)
        axes = (int(random.uniform(8, 22)), int(random.uniform(5, 14)))
        cv2.ellipse(grey, (24, 24), axes, random.uniform(-30, 30), 0, 360, random.uniform(20, 230), -1)
        crops.append(np.repeat(grey[:, :, None], 3, axis=2))
    return np.stack(crops)


PIXELS = pictures()


def crops_of(truth: Mapping[str, NDArray[np.float64]], simulated: bool = False) -> Crops:
    """The pictures, the last fifth of the patients held apart."""
    patients = np.repeat([f"p{number:04d}" for number in range(PATIENTS)], EACH)
    scanners = np.repeat("LOGIQ E9", len(patients))
    held = np.arange(len(patients)) >= 56 * EACH
    counts = count(patients, scanners, truth, HEADS)
    remarks = ("One remark.",)
    return Crops(PIXELS, patients, scanners, truth, held, True, simulated, "b" * 64, counts, remarks)


def known_truth(crops: int = PATIENTS * EACH) -> dict[str, NDArray[np.float64]]:
    """Truth of every head for the first so many crops."""
    random = np.random.default_rng(6)
    everyone = {
        "lesion": random.integers(0, 2, PATIENTS * EACH).astype(np.float64),
        "length": random.uniform(80, 120, PATIENTS * EACH),
        "echo": random.integers(0, 3, PATIENTS * EACH).astype(np.float64),
    }
    return {name: np.where(np.arange(len(values)) < crops, values, np.nan) for name, values in everyone.items()}


def member(seed: int, heads: Sequence[HeadSpec] = HEADS) -> Member:
    """A stem, one block and a linear layer a head, with random weights."""
    random = np.random.default_rng(seed)

    def convolution(inputs: int, outputs: int, stride: int) -> Convolution:
        weight = random.normal(0, (2 / (9 * inputs)) ** 0.5, (outputs, inputs, 3, 3)).astype(np.float32)
        return Convolution(weight, np.zeros(outputs, np.float32), stride, 1)

    def part(head: HeadSpec) -> LinearHead:
        regression = isinstance(head, RegressionHead)
        answers = len(head.grades) if isinstance(head, GradesHead) else 1
        weight = random.normal(0, 3.0 if regression else 0.5, (answers, 12)).astype(np.float32)
        linear = LinearHead(weight, np.full(answers, 60.0 if regression else 0.0, np.float32))
        if regression:
            return linear
        return replace(linear, activation="softmax" if isinstance(head, GradesHead) else "sigmoid")

    trunk = Trunk(convolution(3, 8, 2), (Plain(convolution(8, 12, 2)),))
    return Member(trunk, tuple(part(head) for head in heads))


@dataclass(frozen=True)
class Built:
    bundle: Bundle
    report: dict[str, object]
    card: str
    page: str
    stages: list[str]


def material(heads: tuple[HeadSpec, ...] = HEADS, seed: int = 0) -> Material:
    """Two members."""
    both = tuple(member(seed + at, heads) for at in range(2))
    ensemble = Ensemble(both, heads, SIZE, SIZE, (0.5,) * 3, (0.25,) * 3)
    training = TrainingSpec(recipe="A test.", data="nothing", patients=0, reproduce="echogfr-convert test")
    return Material(
        model=write_graph(ensemble),
        heads=heads,
        calibration=PIXELS[: 56 * EACH],
        training=training,
        members=2,
        parameters=1000,
        claims=CLAIMS,
    )


def alone(seed: int) -> onnx.ModelProto:
    """The graph of one member of ``material()``."""
    return write_graph(Ensemble((member(seed),), HEADS, SIZE, SIZE, (0.5,) * 3, (0.25,) * 3))


def build(target: Path, crops: Crops, origin: Origin, what: Material | None = None) -> Built:
    stages: list[str] = []

    def note(stage: str, done: int, total: int) -> None:
        stages.append(f"{stage} {done}/{total}")

    plan = BuildPlan(target, target, target, artifacts=ARTIFACTS, bundle_id="any", title="Any heads")
    assemble(plan, what or material(), note, CropProver(crops, origin))
    report = json.loads((target / "report.json").read_text())
    card, page = ((target / name).read_text() for name in ("card.md", "report.html"))
    return Built(open_bundle(target), report, card, page, stages)
