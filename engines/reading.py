"""Reading: from raw outputs and manifest to eGFR, interval, P(eGFR<60), class activation map and domain distance."""

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
from engines.manifest import BundleManifest, IntervalSpec, Meaning
from engines.session import Outputs, Session, SessionInfo
from engines.tensors import check_input, input_spec

CKD_LIMIT = 60.0  # mL/min/1.73 m2, KDIGO G2 | G3a
UNDECIDED = (0.4, 0.6)  # a probability in here takes no side
P_SLACK = 1e-3  # rounding of fp16 and int8 around 0 and 1


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One crop through one session. eGFR in mL/min/1.73 m2, never negative; research use only.

    ``low`` and ``high`` are the prediction interval of ``level`` (0..1); ``spread`` is the standard
    deviation over members (n - 1; 0 for one member), which says how far members differ, not how far the
    value is from the truth. ``members`` are as the network gave them and may be negative. ``cam`` is
    float32 (h, w), mL/min/1.73 m2 per cell, or None.
    """

    egfr: float
    low: float
    high: float
    level: float
    spread: float
    category_range: str
    p_egfr_below_60: float
    heads_agree: bool
    members: tuple[float, ...]
    p_members: tuple[float, ...]
    domain_distance: float
    in_domain: bool
    synthetic: bool
    runtime: str
    provider: str
    precision: str
    bundle: str
    bundle_sha256: str
    artifact_sha256: str
    cam: NDArray[np.float32] | None


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
        self._names: dict[Meaning, str] = {output.meaning: output.name for output in manifest.outputs}

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
        members = row[self._names["egfr_members"]].astype(np.float64)
        p_members = _probabilities(row[self._names["p_egfr_below_60_members"]])
        mean, p_mean = float(np.mean(members)), float(np.mean(p_members))
        egfr = max(0.0, mean)
        low, high = interval(manifest.interval, egfr)  # its residuals were taken from values that are shown
        distance = self._domain.distance(row[self._names["features"]], crop)
        return Reading(
            egfr=egfr,
            low=low,
            high=high,
            level=manifest.interval.level,
            spread=float(np.std(members, ddof=1)) if len(members) > 1 else 0.0,
            category_range=category_range(low, high),
            p_egfr_below_60=p_mean,
            heads_agree=heads_agree(mean, p_mean),
            members=tuple(members.tolist()),
            p_members=tuple(p_members.tolist()),
            domain_distance=distance,
            in_domain=distance <= manifest.domain.limit,
            synthetic=manifest.synthetic,
            runtime=info.runtime,
            provider=info.provider,
            precision=info.precision,
            bundle=f"{manifest.bundle_id} {manifest.version}",
            bundle_sha256=self._bundle.sha256,
            artifact_sha256=info.artifact_sha256,
            cam=row[self._names["cam"]] if "cam" in self._names else None,
        )


def interval(spec: IntervalSpec, predicted: float) -> tuple[float, float]:
    """Return the prediction interval of a predicted eGFR, mL/min/1.73 m2, both ends >= 0.

    The signed residual quantiles are those of the band of the predicted value; a band's lower edge belongs
    to it. Where a strongly biased band would leave the value outside of its own interval, the interval is
    widened to hold it, which can only raise the coverage.
    """
    band = bisect_right(spec.edges, predicted)
    low = predicted + min(0.0, spec.low[band])
    high = predicted + max(0.0, spec.high[band])
    return max(0.0, low), max(0.0, high)


def heads_agree(egfr: float, p_below_60: float) -> bool:
    """Tell whether the two heads of the model say compatible things.

    They disagree only if the value and the probability lie on opposite sides (60 mL/min/1.73 m2; 0.5) and
    the probability is decided, that is outside of 0.4 to 0.6.
    """
    if UNDECIDED[0] <= p_below_60 <= UNDECIDED[1]:
        return True
    return (egfr < CKD_LIMIT) == (p_below_60 >= 0.5)


def _stack(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    if not crops or any(crop.shape != crops[0].shape for crop in crops):
        raise TensorMismatchError(
            "The crops cannot be read", "there are none or they differ in size", "extract all at one size"
        )
    return np.stack(crops)


def _row(outputs: Outputs, at: int) -> Outputs:
    return {name: array[at].copy() for name, array in outputs.items()}


def _probabilities(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    values = raw.astype(np.float64)
    if np.any(values < -P_SLACK) or np.any(values > 1 + P_SLACK):
        raise InferenceError(
            "The model gave no usable answer",
            f"a probability lies outside of 0 to 1 ({values.min():.3g} to {values.max():.3g})",
            "run the self-test and convert the model again",
        )
    return np.clip(values, 0.0, 1.0)
