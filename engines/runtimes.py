"""The table of runtimes, and the selection: which one runs a bundle here, why, what became of the others.

Nothing is chosen in silence: every candidate carries its outcome and its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, cast

from engines import _onnxruntime, _tensorrt, _triton, providers
from engines._tensorrt_session import TensorRtSession
from engines.bundle import Bundle
from engines.cpu import Cpu, read_cpu
from engines.errors import BundleError, RuntimeUnavailableError
from engines.libraries import TITLES
from engines.manifest import Artifact, Family, Precision
from engines.parity import parity_fault
from engines.providers import Provider
from engines.served import TritonSession
from engines.server import Server
from engines.session import Session
from engines.store import EngineError, EngineFailedError, RuntimeName

PRECISIONS: tuple[Precision, ...] = ("int8", "fp16", "fp32")
State = Literal["usable", "absent", "broken"]
Outcome = Literal["chosen", "possible", "passed over", "unavailable"]


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a runtime can be used here. ``detail``: its version, or why not and what to do."""

    state: State
    detail: str

    @property
    def usable(self) -> bool:
        """True if sessions can be opened."""
        return self.state == "usable"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One row of the table. ``order``: precisions from the first to be tried to the last.

    ``automatic``: what is done with a precision that nobody asked for, and why. ``named``: why it is taken only where
    it is asked for by name; empty where it is not so. ``builds``: whether the start of a session would build something
    for minutes. ``ready``: what these artifacts are run from, where something must have been made of them first; raises
    an ``EchoGFRError`` where it was not. ``reject``: remembers that it failed its self-test, and why; False where it
    cannot.
    """

    name: str
    title: str
    family: Family
    order: tuple[Precision, ...]
    probe: Callable[[], Availability]
    open: Callable[[Bundle, tuple[Artifact, ...]], Session]
    automatic: Callable[[Precision, Cpu], tuple[Outcome, str]]
    named: str = ""
    builds: Callable[[tuple[Artifact, ...]], bool] | None = None
    ready: Callable[[Bundle, tuple[Artifact, ...]], str] | None = None
    reject: Callable[[Bundle, tuple[Artifact, ...], str], bool] | None = None


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


def _probe_onnxruntime() -> Availability:
    try:
        library = _onnxruntime.load_library()
    except ModuleNotFoundError as error:
        if error.name == "onnxruntime":
            return Availability("absent", f"ONNX Runtime is not installed ({_onnxruntime.CURE})")
        return Availability("broken", f"ONNX Runtime is installed but cannot be loaded: {error}")
    except (ImportError, OSError) as error:
        return Availability("broken", f"ONNX Runtime is installed but cannot be loaded: {error}")
    return Availability("usable", f"ONNX Runtime {library.__version__}, {_onnxruntime.PROVIDER}")


def _probe_provider(provider: Provider) -> Availability:
    found = _probe_onnxruntime()
    if not found.usable:
        return found
    try:
        return Availability("usable", _onnxruntime.probe(provider))
    except _onnxruntime.ProviderAbsentError as error:
        return Availability("absent", f"{error.because} ({error.cure})")
    except RuntimeUnavailableError as error:
        return Availability("broken", f"{error.because} ({error.cure})")


def _probe_tensorrt(name: RuntimeName) -> Availability:
    try:
        return Availability("usable", _tensorrt.probe(name))
    except _tensorrt.LibraryAbsentError as error:
        return Availability("absent", f"{error.because} ({error.cure})")
    except RuntimeUnavailableError as error:
        return Availability("broken", f"{error.because} ({error.cure})")


def _engines_ready(name: RuntimeName, bundle: Bundle, artifacts: tuple[Artifact, ...]) -> str:
    seeker, records = _tensorrt.find_engines(name, bundle, artifacts)
    remarks = (seeker.remark(artifact, record) for artifact, record in zip(artifacts, records, strict=True))
    remark = next((f" {told}" for told in remarks if told), "")
    return f"engine built here on {records[0].created:%Y-%m-%d}{remark}, parity passed"


def _open_tensorrt(name: RuntimeName, bundle: Bundle, artifacts: tuple[Artifact, ...]) -> Session:
    return TensorRtSession(name, bundle, artifacts)


def _tensorrt_row(name: RuntimeName) -> Runtime:
    return Runtime(
        name,
        TITLES[name],
        "tensorrt",
        ("fp16", "int8", "fp32"),
        partial(_probe_tensorrt, name),
        partial(_open_tensorrt, name),
        _on_gpu,
        ready=partial(_engines_ready, name),
        reject=partial(_tensorrt.reject, name),
    )


def _open_onnxruntime(provider: Provider, bundle: Bundle, artifacts: tuple[Artifact, ...]) -> Session:
    return _onnxruntime.OnnxSession(bundle, artifacts, provider=provider)


def _cuda_row() -> Runtime:
    provider = providers.CUDA
    return Runtime(
        provider.runtime,
        "ONNX Runtime with CUDA",
        "tensorrt",  # its int8 keeps half around the integers; of fp32 and fp16 there is one for all
        ("fp16", "fp32", "int8"),
        partial(_probe_provider, provider),
        partial(_open_onnxruntime, provider),
        _on_gpu,
    )


def _tensorrt_provider_row() -> Runtime:
    provider = providers.TENSORRT
    return Runtime(
        provider.runtime,
        "ONNX Runtime with TensorRT",
        "tensorrt",
        ("fp16", "int8", "fp32"),
        partial(_probe_provider, provider),
        partial(_open_onnxruntime, provider),
        _on_gpu,
        named="its first start builds engines, which takes minutes",
        builds=partial(_onnxruntime.builds_first, provider),
    )


def _on_cpu(precision: Precision, cpu: Cpu) -> tuple[Outcome, str]:
    if precision == "int8":
        flag = cpu.int8_flag
        if flag is None:
            return "passed over", "this CPU has no 8-bit dot products (VNNI), so int8 would not be faster"
        return "possible", f"fastest on this CPU ({flag}), parity passed"
    if precision == "fp16":
        return "passed over", "slower than fp32 on a CPU; only on request"
    return "possible", "the reference precision, on any CPU"


def _on_gpu(precision: Precision, cpu: Cpu) -> tuple[Outcome, str]:
    if precision == "int8":
        return "passed over", "ONNX Runtime computes int8 convolutions in half or float on a GPU; only on request"
    if precision == "fp16":
        return "possible", "half precision on the GPU, parity passed"
    return "possible", "the reference precision, on the GPU"


def _on_server(precision: Precision, cpu: Cpu) -> tuple[Outcome, str]:
    if precision != "fp32":
        return "passed over", "a server's precision is never guessed; only on request"
    return "possible", "the reference precision, on the server that was named"


def _probe_triton(server: Server | None) -> Availability:
    """Say whether a server can be asked; it is not asked here."""
    if server is None:
        return Availability("absent", "no server is named (--triton-url or ECHOGFR_TRITON_URL)")
    try:
        _triton.load_library()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "tritonclient":
            return Availability("absent", f"Triton's client is not installed ({_triton.CURE})")
        return Availability("broken", f"Triton's client is installed but cannot be loaded: {error}")
    except (ImportError, OSError) as error:
        return Availability("broken", f"Triton's client is installed but cannot be loaded: {error}")
    return Availability("usable", f"the server {server.where} is named")


def _triton_row(server: Server | None) -> Runtime:
    def open_triton(bundle: Bundle, artifacts: tuple[Artifact, ...]) -> Session:
        if server is None:
            raise RuntimeUnavailableError("No server can be asked", "none is named", "give --triton-url HOST:PORT")
        return TritonSession(bundle, artifacts, server)

    order: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    return Runtime("triton", "Triton", "cpu", order, lambda: _probe_triton(server), open_triton, _on_server)


RUNTIMES: tuple[Runtime, ...] = (
    _tensorrt_row("tensorrt"),
    _tensorrt_row("tensorrt-rtx"),
    _cuda_row(),
    _tensorrt_provider_row(),
    Runtime(
        providers.CPU.runtime,
        "ONNX Runtime",
        "cpu",
        ("int8", "fp32", "fp16"),
        _probe_onnxruntime,
        partial(_open_onnxruntime, providers.CPU),
        _on_cpu,
    ),
)


def rows(server: Server | None = None) -> tuple[Runtime, ...]:
    """Return every runtime, that of an inference server last."""
    return (*RUNTIMES, _triton_row(server))


def available(server: Server | None = None) -> tuple[tuple[str, Availability], ...]:
    """Return each known runtime and whether it can be used here; a server is not asked."""
    return tuple((runtime.name, runtime.probe()) for runtime in rows(server))


def select(
    bundle: Bundle,
    runtime: str | None = None,
    precision: str | None = None,
    cpu: Cpu | None = None,
    server: Server | None = None,
    fallback: str | None = None,
) -> Selection:
    """Choose what runs a bundle: this machine, or the server that the operator names and nothing else then.

    On a CPU that is int8 where the CPU has 8-bit dot products and the bundle's parity row for int8
    passed, else fp32; fp16 only on request. On a GPU it is what a good engine was built from, fp16 first, else ONNX
    Runtime's CUDA at fp16, then fp32; nothing is built here. A precision whose parity failed is never chosen. What
    would be preferred to all others but for an engine that failed is not left for another, unless the operator
    consents.

    Parameters
    ----------
    bundle : Bundle
        Opened, hence verified.
    runtime, precision : str or None
        What the user asks for; None: automatic.
    cpu : Cpu or None
        None: this machine's.
    server : Server or None
        An inference server; without a ``runtime`` it is the one that runs the bundle.
    fallback : str or None
        The operator's consent: the runtime that reads where the engine of a preferred one failed.

    Raises
    ------
    RuntimeUnavailableError
        A name is unknown, or nothing can run what was asked; the sentence has the reason of each. Or an engine failed
        and nobody consented to another runtime; the sentence has the cure.
    """
    wanted = _known("precision", precision, PRECISIONS)
    known = rows(server)
    name = _known("runtime", runtime or (_triton.NAME if server else None), tuple(row.name for row in known))
    # A server that nobody named is no candidate; one that was named is not left for another without a word.
    asked = [row for row in known if name == row.name or (name is None and row.name != _triton.NAME)]
    judge = _Judge(bundle, cast("Precision | None", wanted), cpu or read_cpu())
    judged = [(row, candidate) for row in asked for candidate in judge.candidates(row, name == row.name)]
    failed = _failed_first(judged)
    if failed is not None:
        if fallback is None or fallback == failed.runtime:
            raise _no_consent(bundle, failed)
        others = [row for row in known if row.name == fallback and row not in asked]
        judged += [(row, candidate) for row in others for candidate in judge.candidates(row, True)]
    for row, candidate in judged:
        if candidate.precision is not None and _may_run(candidate, failed, fallback):
            artifacts = bundle.artifacts(candidate.precision, row.family)
            note = "" if failed is None else _in_place_of(candidate, failed)
            return Selection(bundle, row, artifacts, _mark([other for _, other in judged], candidate), note)
    reasons = "; ".join(f"{c.runtime} {c.precision or ''}".strip() + f": {c.reason}" for _, c in judged)
    raise RuntimeUnavailableError(
        f"The bundle {bundle.manifest.bundle_id} cannot be run as asked", reasons, "ask for another or leave it open"
    )


def _failed_first(judged: list[tuple[Runtime, Candidate]]) -> Candidate | None:
    """Return the candidate whose engine failed before any other could be chosen; None: there is none."""
    for _, candidate in judged:
        if candidate.outcome == "possible":
            return None
        if candidate.repair:
            return candidate
    return None


def _may_run(candidate: Candidate, failed: Candidate | None, fallback: str | None) -> bool:
    return candidate.outcome == "possible" and (failed is None or candidate.runtime == fallback)


def _in_place_of(candidate: Candidate, failed: Candidate) -> str:
    named = f"{failed.runtime} at {failed.precision}"
    return f"Read by {candidate.runtime} at {candidate.precision}, with consent: the engine of {named} failed."


def _no_consent(bundle: Bundle, failed: Candidate) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"The bundle {bundle.manifest.bundle_id} is not read",
        f"{failed.runtime} {failed.precision}: {failed.reason}",
        f"{failed.repair}, or consent to another runtime: --fallback onnxruntime, or name one with --runtime",
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges candidates for one bundle, one wish and one CPU."""

    bundle: Bundle
    wanted: Precision | None
    cpu: Cpu

    def candidates(self, runtime: Runtime, by_name: bool) -> list[Candidate]:
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


def _mark(candidates: list[Candidate], chosen: Candidate) -> tuple[Candidate, ...]:
    return tuple(replace(c, outcome="chosen") if c is chosen else c for c in candidates)


def _known(what: str, name: str | None, names: tuple[str, ...]) -> str | None:
    if name is None or name in names:
        return name
    raise RuntimeUnavailableError(
        f"The {what} '{name}' cannot be used", "there is none of that name", f"choose one of {', '.join(names)}"
    )
