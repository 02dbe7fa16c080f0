"""Builds one engine in this process: parsed, configured, built, and judged by its own layer table.

What a library can do is asked of the library (``hasattr``), never read from its version: TensorRT 10.3, 10.16 and
11 and TensorRT for RTX share this code. No flag and no calibrator sets a precision; the artifact's types do.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from convert.tensorrt_config import Builder, add_profile, configure
from convert.tensorrt_layers import MESSAGE, UNKNOWN, read_layers, summarize
from convert.tensorrt_library import Library
from convert.tensorrt_network import AGAIN, explain, parse, plain, planned_precisions
from convert.tensorrt_plan import EnginePlan
from convert.tensorrt_timing import load_timing, save_timing
from convert.tensorrt_watch import Logbook, Watch, make_logger, make_monitor
from engines.engine_record import EngineTarget, LayerSummary
from engines.manifest import Precision
from engines.store import EngineError

WARNINGS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Built:
    """A finished build. The engine lies in the draft that was named."""

    sha256: str
    size_bytes: int
    layers: LayerSummary
    warnings: tuple[str, ...]


class CancelledError(Exception):
    """The build was ended on demand."""


def build(library: Library, plan: EnginePlan, draft: Path, watch: Watch) -> Built:
    """Build the engine of ``plan`` into the file ``draft``; the timing cache beside it is read and renewed.

    Raises
    ------
    EngineError
        The artifact was changed, the parser or the builder refused it, an INT8 artifact would not run in INT8, or the
        engine cannot be written.
    UsageError
        The machine has no such DLA core.
    CancelledError
        ``watch`` ended the build.
    """
    with _no_garbage_collection():
        return _build(library, plan, draft, watch)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect first, then not at all while the library works.

    createInferBuilder writes to the logger with a lock held that the end of every other builder needs as well: a
    collection that begins inside the logger and frees an older builder waits for its own thread, for ever.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _build(library: Library, plan: EnginePlan, draft: Path, watch: Watch) -> Built:
    trt, book = library.module, Logbook()
    logger = make_logger(library, book, watch)
    builder = _builder(library, plan, logger, book)
    network = builder.create_network(library.network_flags)
    watch.report("Parsing", 0, 1)
    parser = trt.OnnxParser(network, logger)  # weights are its own until the engine is built: not a temporary
    parse(parser, network, _artifact_bytes(plan), plan.what)
    watch.report("Parsing", 1, 1)
    config = builder.create_builder_config()
    config.progress_monitor = make_monitor(library, watch)
    configure(config, library, plan, int(getattr(builder, "num_DLA_cores", 0)))
    add_profile(builder, config, network, plan)
    timing = draft.parent / plan.timing_cache
    if library.times:
        with _files(plan, draft):
            load_timing(config, timing)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise CancelledError if watch.cancelled() else EngineError(plan.what, *_reason(book))
    data = memoryview(serialized)  # not a copy: an engine of ten large members is 1 GB
    table = book.layers or _inspected(library, logger, data)
    built = _judged(plan, data, summarize(planned_precisions(library, network), read_layers(table)), book)
    with _files(plan, draft):
        draft.write_bytes(data)
        if library.times:
            save_timing(config, timing)
    return built


def _builder(library: Library, plan: EnginePlan, logger: object, book: Logbook) -> Builder:
    """Return a builder; that there is none, as with a driver that is too old, the bindings say by TypeError."""
    try:
        builder: Builder = library.module.Builder(logger)
    except TypeError as error:
        told = plain("\n".join(book.errors)) if book.errors else "it says nothing of why"
        because = f"{library.runtime} {library.module.__version__} cannot be started ({told})"
        raise EngineError(plan.what, because, "install a version that goes with the NVIDIA driver") from error
    return builder


def _artifact_bytes(plan: EnginePlan) -> bytes:
    """Return the artifact, verified once more: the engine's record will name this hash."""
    cure = "copy the bundle again"
    try:
        data = plan.artifact.read_bytes()
    except OSError as error:
        raise EngineError(plan.what, f"it cannot be read ({error.strerror})", cure) from error
    if hashlib.sha256(data).hexdigest() != plan.key.artifact_sha256:
        raise EngineError(plan.what, "it was changed after the bundle was checked", cure)
    return data


@contextmanager
def _files(plan: EnginePlan, draft: Path) -> Iterator[None]:
    """Turn a full disk and the like into one sentence."""
    try:
        yield
    except OSError as error:
        because = f"{draft.parent} cannot be used ({error.strerror})"
        raise EngineError(plan.what, because, "free some space there, or choose another folder with --out") from error


def _judged(plan: EnginePlan, data: memoryview, layers: LayerSummary, book: Logbook) -> Built:
    """Return what was built with all its warnings, or refuse it."""
    warnings = (
        *check_layers(plan.what, plan.precision, layers),
        *_one_for_all(plan.key.target, book.layers.count(MESSAGE)),
        *book.warnings[:WARNINGS_KEPT],
    )
    return Built(hashlib.sha256(data).hexdigest(), data.nbytes, layers, warnings)


def check_layers(what: str, precision: Precision, layers: LayerSummary) -> list[str]:
    """Return warnings of what did not run as planned; ``what`` begins the sentence of a refusal.

    Raises
    ------
    EngineError
        An INT8 artifact plans no INT8 convolution, or every one of those planned is compiled to something else.
    """
    ints = layers.planned.get("Int8", 0)
    if precision == "int8" and not ints:
        raise EngineError(what, "not one of its convolutions is quantised", "convert the model again")
    if not layers.layers:
        return ["the builder told nothing of its layers, so what precision they run in is not known"]
    lost = [line for line in layers.fallbacks if "Int8 planned" in line and UNKNOWN not in line]
    if ints and len(lost) == ints:
        raise EngineError(
            what,
            f"{ints} convolutions are planned in INT8 and not one would run in it "
            "(scales of activations must be scalars, of shape () and not (1,))",
            "convert the model again, or build fp16",
        )
    if not layers.fallbacks:
        return []
    count = "1 convolution does" if len(layers.fallbacks) == 1 else f"{len(layers.fallbacks)} convolutions do"
    return [f"{count} not run in the precision that the artifact asks for, as far as the builder tells"]


def _one_for_all(target: EngineTarget, tables: int) -> list[str]:
    capabilities = target.compute_capabilities
    if len(capabilities) == 1 or tables >= len(capabilities):
        return []
    return [f"layers were reported once for {', '.join(capabilities)}: build for one alone to see its own"]


class _Inspector(Protocol):
    """What is used of EngineInspector."""

    def get_engine_information(self, form: object) -> str: ...


class _Engine(Protocol):
    """What is used of ICudaEngine."""

    def create_engine_inspector(self) -> _Inspector: ...


def _inspected(library: Library, logger: object, data: memoryview) -> str:
    """Return the layer table from the finished engine, where there is a GPU to load it; empty elsewhere."""
    trt = library.module
    engine: _Engine | None = trt.Runtime(logger).deserialize_cuda_engine(data)
    if engine is None:
        return ""
    return engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.ONELINE)


def _reason(book: Logbook) -> tuple[str, str]:
    return explain("\n".join(book.errors)) if book.errors else ("the builder gave no reason", AGAIN)
