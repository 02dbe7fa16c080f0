"""The selection: which runtime runs a bundle here at which precision, why, and what became of the others.

Nothing is chosen in silence: every candidate carries its outcome and its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engines.bundle import Bundle
from engines.cpu import Cpu
from engines.errors import BundleError, RuntimeUnavailableError
from engines.manifest import Artifact, Precision
from engines.parity import parity_fault
from engines.runtime import Outcome, Runtime
from engines.session import Session
from engines.store import EngineError, EngineFailedError


@dataclass(frozen=True, slots=True)
class Candidate:
    """One runtime at one precision (None: at any) and what became of it.

    ``repair``: what to do about an engine that failed here, which is no reason to read with another in silence; empty:
    nothing failed.
    """

    runtime: str
    precision: Precision | None
    outcome: Outcome
    reason: str
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What will run a bundle, and every candidate that was looked at.

    ``artifacts``: the one in which all members are fused, or one for each member. ``note``: in place of what failed
    engine it reads, with the operator's consent; it goes with each reading.
    """

    bundle: Bundle
    runtime: Runtime
    artifacts: tuple[Artifact, ...]
    candidates: tuple[Candidate, ...]
    note: str = ""

    @property
    def precision(self) -> Precision:
        """The precision that runs."""
        return self.artifacts[0].precision

    @property
    def chosen(self) -> Candidate:
        """The candidate that runs."""
        return next(candidate for candidate in self.candidates if candidate.outcome == "chosen")

    def open(self) -> Session:
        """Return the session, not yet entered."""
        return self.runtime.open(self.bundle, self.artifacts)

    @property
    def builds(self) -> bool:
        """True if the start of the session builds engines, which takes minutes."""
        return self.runtime.builds is not None and self.runtime.builds(self.artifacts)

    def reject(self, why: str) -> bool:
        """Remember, where the runtime can, that this failed its self-test: it is not chosen again as it is."""
        return self.runtime.reject is not None and self.runtime.reject(self.bundle, self.artifacts, why)

    def explain(self) -> str:
        """One line: what runs and why."""
        chosen = self.chosen
        return f"{chosen.runtime} {chosen.precision}: {chosen.reason}"

    def table(self) -> tuple[tuple[str, str, str, str], ...]:
        """Rows of runtime, precision, outcome and reason, in the order of preference."""
        return tuple((c.runtime, c.precision or "any", c.outcome, c.reason) for c in self.candidates)


Judged = tuple[Runtime, Candidate]


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges candidates for one bundle, one wish (None: any precision) and one CPU."""

    bundle: Bundle
    wanted: Precision | None
    cpu: Cpu

    def judge(self, rows: Iterable[Runtime], by_name: bool) -> list[Judged]:
        """Return the candidates of these rows, in order; ``by_name``: the rows were asked for by their names."""
        return [(row, candidate) for row in rows for candidate in self._candidates(row, by_name)]

    def _candidates(self, runtime: Runtime, by_name: bool) -> list[Candidate]:
        if runtime.named and not by_name:  # not even probed: that alone may take seconds
            return [Candidate(runtime.name, self.wanted, "passed over", f"{runtime.named}; only where it is named")]
        availability = runtime.probe()
        if not availability.usable:
            return [Candidate(runtime.name, self.wanted, "unavailable", availability.detail)]
        order = runtime.order if self.wanted is None else (self.wanted,)
        return [self._candidate(runtime, precision) for precision in order]

    def _candidate(self, runtime: Runtime, precision: Precision) -> Candidate:
        try:
            return Candidate(runtime.name, precision, *self._judged(runtime, precision))
        except EngineFailedError as error:
            reason = f"{error.what[0].lower()}{error.what[1:]}: {error.because}"
            return Candidate(runtime.name, precision, "unavailable", reason, repair=error.cure)

    def _judged(self, runtime: Runtime, precision: Precision) -> tuple[Outcome, str]:
        try:
            artifacts = self.bundle.artifacts(precision, runtime.family)
        except BundleError:
            return "unavailable", f"the bundle has no {precision} artifact for it"
        fault = parity_fault(self.bundle.manifest, artifacts[0])  # parity is of all members together
        if fault:
            return "unavailable", fault
        if runtime.ready is not None:
            try:
                told = runtime.ready(self.bundle, artifacts)
            except EngineFailedError:
                raise
            except (EngineError, RuntimeUnavailableError) as error:
                return "unavailable", f"{error.what[0].lower()}{error.what[1:]}: {error.because} ({error.cure})"
            return "possible", told if self.wanted is None else f"asked for; {told}"
        if self.wanted is None and not runtime.named:
            return runtime.automatic(precision, self.cpu)
        builds = runtime.builds is not None and runtime.builds(artifacts)
        return "possible", f"asked for; {runtime.named}" if builds else "asked for"


def failed_first(judged: Iterable[Judged]) -> Candidate | None:
    """Return the candidate whose engine failed before any other could be chosen; None: there is none."""
    for _, candidate in judged:
        if candidate.outcome == "possible":
            return None
        if candidate.repair:
            return candidate
    return None


def no_consent(bundle: Bundle, failed: Candidate) -> RuntimeUnavailableError:
    """Return what is said where an engine failed and nobody consented to another runtime."""
    return RuntimeUnavailableError(
        f"The bundle {bundle.manifest.bundle_id} is not read",
        f"{failed.runtime} {failed.precision}: {failed.reason}",
        f"{failed.repair}, or consent to another runtime: --fallback onnxruntime, or name one with --runtime",
    )


def choose(bundle: Bundle, judged: Sequence[Judged], failed: Candidate | None, fallback: str | None) -> Selection:
    """Return the first that is possible; where an engine ``failed`` before it, the first of ``fallback``.

    Raises
    ------
    RuntimeUnavailableError
        There is none; the sentence has the reason of each.
    """
    candidates = [candidate for _, candidate in judged]
    for row, candidate in judged:
        if candidate.precision is not None and _may_run(candidate, failed, fallback):
            artifacts = bundle.artifacts(candidate.precision, row.family)
            note = "" if failed is None else _in_place_of(candidate, failed)
            return Selection(bundle, row, artifacts, _mark(candidates, candidate), note)
    reasons = "; ".join(f"{c.runtime} {c.precision or ''}".strip() + f": {c.reason}" for c in candidates)
    raise RuntimeUnavailableError(
        f"The bundle {bundle.manifest.bundle_id} cannot be run as asked", reasons, "ask for another or leave it open"
    )


def _may_run(candidate: Candidate, failed: Candidate | None, fallback: str | None) -> bool:
    return candidate.outcome == "possible" and (failed is None or candidate.runtime == fallback)


def _in_place_of(candidate: Candidate, failed: Candidate) -> str:
    named = f"{failed.runtime} at {failed.precision}"
    return f"Read by {candidate.runtime} at {candidate.precision}, with consent: the engine of {named} failed."


def _mark(candidates: list[Candidate], chosen: Candidate) -> tuple[Candidate, ...]:
    return tuple(replace(c, outcome="chosen") if c is chosen else c for c in candidates)
