"""A session of TensorRT 10.3 to 11, or of TensorRT for RTX, on the engines that were built on this machine.

An engine comes from the engine store alone, and only if its record goes with the artifact, the library, the GPU and
the driver.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType, TracebackType

import numpy as np
from numpy.typing import NDArray

from engines._cuda import open_cuda
from engines._tensorrt import gpu_or_sentence, library_or_sentence, make_seeker
from engines._tensorrt_engine import LoadedEngine, load_engine, make_runtime
from engines.bundle import Bundle
from engines.cuda import Cuda, CudaError
from engines.engine_record import EngineRecord
from engines.guard import Held
from engines.libraries import TITLES, RuntimeName
from engines.manifest import Artifact
from engines.members import join, members_of, session_info
from engines.pieces import in_pieces
from engines.session import Outputs, SessionInfo
from engines.store import EngineStore
from engines.tensors import blank, check_input, input_spec, output_specs


@dataclass(frozen=True, slots=True)
class _Open:
    """What exists between enter and exit."""

    cuda: Cuda
    engines: list[LoadedEngine]  # one an artifact
    gpu: str


class TensorRtSession:
    """A session on an NVIDIA GPU, bound to the thread that enters it.

    Parameters
    ----------
    runtime : {"tensorrt", "tensorrt-rtx"}
        Which of the two libraries.
    bundle : Bundle
        Verified; its manifest says what goes in and comes out.
    artifacts : tuple of Artifact
        At one precision; of members in separate artifacts all, in order. One engine of each must be in the store.
    graphs : bool
        Record the work of a batch size that is repeated and launch it as a whole, where layer and engine allow it.
    """

    def __init__(
        self, runtime: RuntimeName, bundle: Bundle, artifacts: tuple[Artifact, ...], graphs: bool = True
    ) -> None:
        self._runtime: RuntimeName = runtime
        self._bundle = bundle
        self._artifacts = artifacts
        self._graphs = graphs
        self._input = input_spec(bundle.manifest)
        self._outputs = output_specs(bundle.manifest, members_of(bundle.manifest, artifacts[:1]))  # of each
        self._version = ""
        self._held = Held[_Open]()

    @property
    def info(self) -> SessionInfo:
        """What produces the numbers; GPU, CUDA layer and version are known while the session is entered."""
        return session_info(self._runtime, self._provider(), self._artifacts)

    def __enter__(self) -> TensorRtSession:
        """Load each engine, check it against the manifest and run all twice, the second time recorded.

        Raises
        ------
        RuntimeUnavailableError
            The library, the GPU or both CUDA layers cannot be used.
        EngineError
            There is no good engine of an artifact in the store.
        BundleError
            An engine is not what the manifest says, or cannot be loaded.
        InferenceError
            The session is already entered, or CUDA or the first run fails.
        """
        self._held.refuse_twice()
        library, gpu = library_or_sentence(self._runtime), gpu_or_sentence()
        self._version = str(library.__version__)
        seeker = make_seeker(self._runtime, library, gpu)
        records = [seeker.find(self._bundle, artifact) for artifact in self._artifacts]
        opened = _Open(open_cuda(), [], gpu.name)
        try:
            opened.cuda.start()
            self._load(library, opened, seeker.store, records)
            self._held.take(opened)
            for _ in range(2):
                self.infer(blank(self._input))
        except BaseException:  # Ctrl-C too: no memory of the device stays taken
            self._close(opened, quietly=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give all memory back; on the thread that entered.

        Raises
        ------
        InferenceError
            CUDA failed on the way; everything was let go of nevertheless. Not raised over another error.
        """
        self._close(self._held.get(), quietly=kind is not None)

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Run ``uint8 (N, H, W, 3)`` RGB crops, N >= 1; see ``engines.session.Session.infer``.

        More crops than the engine's profile has room for are run in pieces.
        """
        opened = self._held.get()
        check_input(self._input, crops)
        largest = min(engine.largest for engine in opened.engines)
        with opened.cuda.current():
            return in_pieces(partial(self._run, opened), crops, largest, self._runtime)

    def _run(self, opened: _Open, crops: NDArray[np.uint8]) -> Outputs:
        for engine in opened.engines:
            engine.start(crops)
        opened.cuda.synchronise()
        return join(self._bundle.manifest, [engine.collect(len(crops)) for engine in opened.engines])

    def _load(self, library: ModuleType, opened: _Open, store: EngineStore, records: list[EngineRecord]) -> None:
        with opened.cuda.current():
            runtime = make_runtime(library)
            for artifact, record in zip(self._artifacts, records, strict=True):
                raw = store.read(record)
                opened.engines.append(load_engine(runtime, opened.cuda, raw, artifact.file, self._graphs))
                opened.engines[-1].take(self._input, self._outputs)

    def _close(self, opened: _Open, quietly: bool) -> None:
        self._held.drop()
        with ExitStack() as stack:
            if quietly:
                stack.enter_context(suppress(CudaError))
            stack.callback(opened.cuda.close)
            if opened.engines:
                stack.enter_context(opened.cuda.current())  # in which TensorRT gives its own memory back
            for engine in opened.engines:
                stack.callback(engine.free)

    def _provider(self) -> str:
        opened, title = self._held.seen, TITLES[self._runtime]
        if opened is None:
            return f"{title} {self._version}".strip()
        graph = "with a CUDA graph" if all(engine.recorded for engine in opened.engines) else "no CUDA graph"
        return f"{opened.gpu} by {opened.cuda.name}, {graph}, {title} {self._version}"
