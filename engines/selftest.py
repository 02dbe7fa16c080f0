"""An artifact answers for itself: golden crops through the open session, compared in clinical units.

Run it after every load; a reading is only made by a session that passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from engines.bundle import Bundle, Golden, load_golden
from engines.errors import InferenceError
from engines.manifest import Meaning, Precision
from engines.session import Outputs, Session

_BATCH = 8  # crops at a time: bounded memory for an ensemble


@dataclass(frozen=True, slots=True)
class HeadDelta:
    """Largest |difference| of one output from the golden vectors, in its unit, and what is allowed."""

    meaning: Meaning
    unit: str
    delta: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """True if the difference is a number within the tolerance."""
        return self.delta <= self.tolerance


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The outcome of one self-test; ``took_ms`` is wall time over all crops."""

    runtime: str
    precision: Precision
    crops: int
    heads: tuple[HeadDelta, ...]
    took_ms: float

    @property
    def passed(self) -> bool:
        """True if every head passed."""
        return all(head.passed for head in self.heads)

    def explain(self) -> str:
        """One line: what differed by how much."""
        heads = ", ".join(f"{h.meaning} {h.delta:.2g} of {h.tolerance:.2g} {h.unit}".rstrip() for h in self.heads)
        return f"{self.crops} golden crops on {self.runtime} {self.precision}: {heads}"


def measure(bundle: Bundle, session: Session) -> SelfTest:
    """Run the golden crops through an entered session and compare; a failed test is returned, not raised.

    Raises
    ------
    BundleError
        The golden vectors cannot be used.
    InferenceError
        The session failed or answered with values that are not finite.
    """
    golden = load_golden(bundle)
    start = perf_counter()
    outputs = _infer_all(session, golden)
    took_ms = (perf_counter() - start) * 1000
    info = session.info
    heads = _compare(bundle, info.precision, golden, outputs)
    return SelfTest(info.runtime, info.precision, len(golden.crops), heads, took_ms)


def run(bundle: Bundle, session: Session) -> SelfTest:
    """Run the self-test and insist that it passes.

    Raises
    ------
    InferenceError
        It failed: nothing may be read with this session. Also as ``measure``.
    """
    test = measure(bundle, session)
    if not test.passed:
        failed = ", ".join(
            f"{h.meaning} differs by {h.delta:.3g} where {h.tolerance:.3g} is allowed"
            for h in test.heads
            if not h.passed
        )
        raise InferenceError(
            f"{test.runtime} at {test.precision} failed the self-test of {bundle.manifest.bundle_id}",
            failed,
            "choose fp32 or convert the model again",
        )
    return test


def _infer_all(session: Session, golden: Golden) -> Outputs:
    parts = [session.infer(golden.crops[at : at + _BATCH]) for at in range(0, len(golden.crops), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in golden.outputs}


def _compare(bundle: Bundle, precision: Precision, golden: Golden, outputs: Outputs) -> tuple[HeadDelta, ...]:
    tolerances = bundle.manifest.golden.tolerance.get(precision, {})
    return tuple(
        HeadDelta(
            spec.meaning,
            spec.unit,
            float(np.max(np.abs(outputs[spec.name] - golden.outputs[spec.name]))),
            tolerances[spec.meaning],
        )
        for spec in bundle.manifest.outputs
        if spec.meaning in tolerances
    )
