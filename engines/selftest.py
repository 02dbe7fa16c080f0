"""An artifact answers for itself: golden crops through the open session, compared in clinical units.

Run it after every load; a reading is only made by a session that passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from engines.bundle import Bundle, Golden, load_golden
from engines.errors import InferenceError
from engines.manifest import Precision
from engines.session import Outputs, Session

_BATCH = 8  # crops at a time: bounded memory for an ensemble


class SelfTestError(InferenceError):
    """A session answered, but not as the golden vectors say."""


@dataclass(frozen=True, slots=True)
class HeadDelta:
    """Largest |difference| of one output from the golden vectors, in its unit, and what is allowed."""

    output: str
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
        units = ("" if h.unit == "1" else f" {h.unit}" for h in self.heads)
        both = zip(self.heads, units, strict=True)
        heads = ", ".join(f"{h.output} {h.delta:.2g} of {h.tolerance:.2g}{unit}" for h, unit in both)
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
    SelfTestError
        It failed: nothing may be read with this session. Also as ``measure``.
    """
    test = measure(bundle, session)
    if not test.passed:
        failed = ", ".join(
            f"{h.output} differs by {h.delta:.3g} where {h.tolerance:.3g} is allowed"
            for h in test.heads
            if not h.passed
        )
        raise SelfTestError(
            f"{test.runtime} at {test.precision} failed the self-test of {bundle.manifest.bundle_id}",
            failed,
            "choose fp32 or convert the model again",
        )
    return test


def _infer_all(session: Session, golden: Golden) -> Outputs:
    parts = [session.infer(golden.crops[at : at + _BATCH]) for at in range(0, len(golden.crops), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in golden.outputs}


def _compare(bundle: Bundle, precision: Precision, golden: Golden, outputs: Outputs) -> tuple[HeadDelta, ...]:
    """Compare every output that has a tolerance; ``engines.consistency`` sees that all of the heads' have one."""
    tolerances = bundle.manifest.golden.tolerance.get(precision, {})
    return tuple(
        HeadDelta(spec.name, spec.unit, _largest(spec.name, outputs, golden.outputs), tolerances[spec.name])
        for spec in bundle.manifest.outputs
        if spec.name in tolerances
    )


def _largest(name: str, outputs: Outputs, golden: Outputs) -> float:
    if outputs[name].shape != golden[name].shape:  # a session of one member: numpy would stretch it over all
        raise InferenceError(
            "The self-test cannot be made",
            f"'{name}' is {outputs[name].shape} where the golden vectors are {golden[name].shape}",
            "open the session with all members",
        )
    return float(np.max(np.abs(outputs[name] - golden[name])))
