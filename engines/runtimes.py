"""The table of runtimes: what can run a bundle, in the order of preference, and which of them does so here."""

from __future__ import annotations

from functools import partial
from typing import cast

from engines import _onnxruntime_graph, _tensorrt, _triton, providers
from engines._onnxruntime_session import OnnxSession
from engines._tensorrt_session import TensorRtSession
from engines.bundle import Bundle
from engines.cpu import Cpu, read_cpu
from engines.errors import RuntimeUnavailableError
from engines.libraries import TITLES, RuntimeName
from engines.manifest import Artifact, Precision
from engines.probing import probe_onnxruntime, probe_provider, probe_tensorrt, probe_triton
from engines.providers import Provider
from engines.runtime import Availability, Outcome, Runtime
from engines.selection import Judge, Selection, choose, failed_first, no_consent
from engines.served import TritonSession
from engines.server import Server
from engines.session import Session

PRECISIONS: tuple[Precision, ...] = ("int8", "fp16", "fp32")


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
        partial(probe_tensorrt, name),
        partial(_open_tensorrt, name),
        _on_gpu,
        ready=partial(_engines_ready, name),
        reject=partial(_tensorrt.reject, name),
    )


def _open_onnxruntime(provider: Provider, bundle: Bundle, artifacts: tuple[Artifact, ...]) -> Session:
    return OnnxSession(bundle, artifacts, provider=provider)


def _cuda_row() -> Runtime:
    provider = providers.CUDA
    return Runtime(
        provider.runtime,
        "ONNX Runtime with CUDA",
        "tensorrt",  # its int8 keeps half around the integers; of fp32 and fp16 there is one for all
        ("fp16", "fp32", "int8"),
        partial(probe_provider, provider),
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
        partial(probe_provider, provider),
        partial(_open_onnxruntime, provider),
        _on_gpu,
        named="its first start builds engines, which takes minutes",
        builds=partial(_onnxruntime_graph.builds_first, provider),
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


def _triton_row(server: Server | None) -> Runtime:
    def open_triton(bundle: Bundle, artifacts: tuple[Artifact, ...]) -> Session:
        if server is None:
            raise RuntimeUnavailableError("No server can be asked", "none is named", "give --triton-url HOST:PORT")
        return TritonSession(bundle, artifacts, server)

    order: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    return Runtime("triton", "Triton", "cpu", order, lambda: probe_triton(server), open_triton, _on_server)


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
        probe_onnxruntime,
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
    judge = Judge(bundle, cast("Precision | None", wanted), cpu or read_cpu())
    judged = judge.judge(asked, by_name=name is not None)
    failed = failed_first(judged)
    if failed is not None:
        if fallback is None or fallback == failed.runtime:
            raise no_consent(bundle, failed)
        judged += judge.judge((row for row in known if row.name == fallback and row not in asked), by_name=True)
    return choose(bundle, judged, failed, fallback)


def _known(what: str, name: str | None, names: tuple[str, ...]) -> str | None:
    if name is None or name in names:
        return name
    raise RuntimeUnavailableError(
        f"The {what} '{name}' cannot be used", "there is none of that name", f"choose one of {', '.join(names)}"
    )
