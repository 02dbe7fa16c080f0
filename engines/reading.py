"""Reading: from raw outputs and manifest to the value of every head, maps and domain distance."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle
from engines.domain import DomainModel
from engines.errors import InferenceError, TensorMismatchError
from engines.kdigo import category_range
from engines.manifest import (
    BundleManifest,
    GradesHead,
    HeadSpec,
    IntervalSpec,
    ProbabilityHead,
    RegressionHead,
)
from engines.session import Outputs, Session, SessionInfo
from engines.tensors import check_input, input_spec

CKD_LIMIT = 60.0  # mL/min/1.73 m2, KDIGO G2 | G3a
UNDECIDED = (0.4, 0.6)  # a probability in here takes no side
P_SLACK = 1e-3  # rounding of fp16 and int8 around 0 and 1
SUM_SLACK = 1e-2  # the same, of grades that add up to 1

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Regressed:
    """What a regression head says, in ``head.unit``.

    ``value`` is the mean over members, not below ``head.lowest``; ``low`` and ``high`` are its prediction interval of
    ``level`` (0..1), all three None where the head was not calibrated. ``spread`` is the standard deviation over
    members (n - 1; 0 for one member), which says how far members differ, not how far the value is from the
    truth. ``members`` are as the network gave them. ``categories``: the ranges that the interval touches, better
    one first (KDIGO's for an eGFR), or that of the value where there is no interval; empty where the
    head has none. ``map``: float32 (h, w), signed, or None.
    """

    head: RegressionHead
    value: float
    low: float | None
    high: float | None
    level: float | None
    spread: float
    members: tuple[float, ...]
    categories: str
    map: Map | None


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """What a probability head says: ``p`` is the mean over members, 0..1; ``spread`` and ``map`` as in Regressed."""

    head: ProbabilityHead
    p: float
    spread: float
    members: tuple[float, ...]
    map: Map | None


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """What a head with grades says.

    ``p``: mean over members, one for each of ``head.grades``; ``top``: position of the largest; ``members`` (M, K);
    ``map``: float32 (K, h, w), one for each grade, or None.
    """

    head: GradesHead
    p: tuple[float, ...]
    top: int
    members: tuple[tuple[float, ...], ...]
    map: Map | None

    @property
    def grade(self) -> str:
        """The most probable grade."""
        return self.head.grades[self.top]


Value = Regressed | Chance | Graded


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One crop through one session: one value a head, in the order of the manifest; research use only.

    ``heads_agree`` compares an eGFR with P(eGFR < 60) and is True where a model has not both.
    """

    values: tuple[Value, ...]
    heads_agree: bool
    domain_distance: float
    in_domain: bool
    synthetic: bool
    runtime: str
    provider: str
    precision: str
    bundle: str
    bundle_sha256: str
    artifact_sha256: str

    @property
    def main(self) -> Value:
        """The value of the main head."""
        return self.values[0]

    @property
    def egfr(self) -> Regressed | None:
        """The eGFR, mL/min/1.73 m2, where the model gives one."""
        return next((v for v in self.values if isinstance(v, Regressed) and v.head.quantity == "egfr"), None)

    @property
    def egfr_below_60(self) -> Chance | None:
        """P(eGFR < 60), where the model gives one."""
        return next((v for v in self.values if isinstance(v, Chance) and v.head.quantity == "egfr_below_60"), None)


class Reader:
    """Reads crops through an entered session; build one only after ``engines.selftest.run`` passed.

    Parameters
    ----------
    bundle : Bundle
        Opened, hence verified.
    session : Session
        Of that bundle. The reader is bound to its thread and neither enters nor exits it.

    Raises
    ------
    BundleError
        The bundle's domain check cannot be used.
    """

    def __init__(self, bundle: Bundle, session: Session) -> None:
        manifest = bundle.manifest
        self._bundle = bundle
        self._session = session
        self._domain = DomainModel.parse(bundle.read(manifest.domain.file), manifest.domain.file)
        self._features = next((output.name for output in manifest.outputs if output.meaning == "features"), None)

    @property
    def bundle(self) -> Bundle:
        """The bundle that is read with."""
        return self._bundle

    @property
    def manifest(self) -> BundleManifest:
        """Its manifest: crop mode, limits, title."""
        return self._bundle.manifest

    def read(self, crop: NDArray[np.uint8]) -> Reading:
        """Read one crop, uint8 (H, W, 3) RGB as ``engines.preprocess.extract`` gives it.

        Raises
        ------
        TensorMismatchError
            Wrong shape or dtype.
        InferenceError
            The session failed, or a head answered outside of its range.
        """
        if crop.ndim != 3:
            raise TensorMismatchError("The crop cannot be read", f"it is {crop.shape}", "give one crop (H, W, 3)")
        return self.read_many(crop[None])[0]

    def read_many(self, crops: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> list[Reading]:
        """Read several crops in one run; as ``read``, for (N, H, W, 3) or a sequence of (H, W, 3)."""
        batch = crops if isinstance(crops, np.ndarray) else _stack(crops)
        check_input(input_spec(self.manifest), batch)
        outputs = self._session.infer(batch)
        info = self._session.info
        return [self._reading(batch[at], _row(outputs, at), info) for at in range(len(batch))]

    def _reading(self, crop: NDArray[np.uint8], row: Outputs, info: SessionInfo) -> Reading:
        manifest = self.manifest
        values = tuple(value_of(head, row) for head in manifest.heads)
        distance = self._domain.distance(None if self._features is None else row[self._features], crop)
        return Reading(
            values=values,
            heads_agree=_agree(values),
            domain_distance=distance,
            in_domain=distance <= manifest.domain.limit,
            synthetic=manifest.synthetic,
            runtime=info.runtime,
            provider=info.provider,
            precision=info.precision,
            bundle=f"{manifest.bundle_id} {manifest.version}",
            bundle_sha256=self._bundle.sha256,
            artifact_sha256=info.artifact_sha256,
        )


def value_of(head: HeadSpec, row: Outputs) -> Value:
    """Return the value of one head from the outputs of one crop, by name and without a batch axis.

    Raises
    ------
    InferenceError
        A probability lies outside of 0 to 1, or grades do not add up to 1.
    """
    raw = row[head.output].astype(np.float64)
    map_ = None if head.map is None else row[head.map]
    if isinstance(head, RegressionHead):
        return _regressed(head, raw, map_)
    if isinstance(head, ProbabilityHead):
        p = _probabilities(head.name, raw)
        return Chance(head, float(np.mean(p)), _spread(p), tuple(p.tolist()), map_)
    p = _probabilities(head.name, raw)
    if np.any(np.abs(p.sum(axis=1) - 1.0) > SUM_SLACK):
        raise _unusable(f"the probabilities of the grades of '{head.name}' do not add up to 1")
    mean = p.mean(axis=0)
    members = tuple(tuple(member) for member in p.tolist())
    return Graded(head, tuple(mean.tolist()), int(np.argmax(mean)), members, map_)


def interval(spec: IntervalSpec, predicted: float, lowest: float | None = 0.0) -> tuple[float, float]:
    """Return the prediction interval of a predicted value, in its unit, both ends not below ``lowest``.

    The signed residual quantiles are those of the band of the predicted value; a band's lower edge belongs
    to it. Where a strongly biased band would leave the value outside of its own interval, the interval is
    widened to hold it, which can only raise the coverage.
    """
    band = bisect_right(spec.edges, predicted)
    low = predicted + min(0.0, spec.low[band])
    high = predicted + max(0.0, spec.high[band])
    return (low, high) if lowest is None else (max(lowest, low), max(lowest, high))


def categories(head: RegressionHead, low: float, high: float) -> str:
    """Return the categories that ``low`` to ``high`` touches: KDIGO's of an eGFR, the head's own of another number.

    ``"G3a-G4"``, ``"low-middle"``; one alone where both ends share it; empty where the head has none. A
    boundary belongs to the range above it.
    """
    if head.quantity == "egfr":
        return category_range(low, high)
    if not head.categories:
        return ""
    first, last = (head.categories[bisect_right(head.boundaries, end)] for end in (low, high))
    return first if first == last else f"{first}-{last}"


def heads_agree(egfr: float, p_below_60: float) -> bool:
    """Tell whether the two heads of the model say compatible things.

    They disagree only if the value and the probability lie on opposite sides (60 mL/min/1.73 m2; 0.5) and
    the probability is decided, that is outside of 0.4 to 0.6.
    """
    if UNDECIDED[0] <= p_below_60 <= UNDECIDED[1]:
        return True
    return (egfr < CKD_LIMIT) == (p_below_60 >= 0.5)


def _regressed(head: RegressionHead, raw: NDArray[np.float64], map_: Map | None) -> Regressed:
    mean = float(np.mean(raw))
    value = mean if head.lowest is None else max(head.lowest, mean)
    low = high = level = None
    if head.interval is not None:  # its residuals were taken from values that are shown
        (low, high), level = interval(head.interval, value, head.lowest), head.interval.level
    ends = (value, value) if low is None or high is None else (low, high)
    named = categories(head, *ends)
    return Regressed(head, value, low, high, level, _spread(raw), tuple(raw.tolist()), named, map_)


def _agree(values: tuple[Value, ...]) -> bool:
    egfr = next((v for v in values if isinstance(v, Regressed) and v.head.quantity == "egfr"), None)
    chance = next((v for v in values if isinstance(v, Chance) and v.head.quantity == "egfr_below_60"), None)
    return egfr is None or chance is None or heads_agree(egfr.value, chance.p)


def _spread(members: NDArray[np.float64]) -> float:
    return float(np.std(members, ddof=1)) if len(members) > 1 else 0.0


def _stack(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    if not crops or any(crop.shape != crops[0].shape for crop in crops):
        raise TensorMismatchError(
            "The crops cannot be read", "there are none or they differ in size", "extract all at one size"
        )
    return np.stack(crops)


def _row(outputs: Outputs, at: int) -> Outputs:
    return {name: array[at].copy() for name, array in outputs.items()}


def _probabilities(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.any(values < -P_SLACK) or np.any(values > 1 + P_SLACK):
        raise _unusable(f"a probability of '{name}' lies outside of 0 to 1 ({values.min():.3g} to {values.max():.3g})")
    return np.clip(values, 0.0, 1.0)


def _unusable(because: str) -> InferenceError:
    return InferenceError(
        "The model gave no usable answer", because, "run the self-test and convert the model again"
    )
