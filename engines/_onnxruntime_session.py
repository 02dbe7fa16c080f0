"""A session of ONNX Runtime: the artifacts of a bundle at one precision, on one provider, bound to one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType, TracebackType

import numpy as np
from numpy.typing import NDArray

from engines._onnxruntime import Place, find_place, first_line
from engines._onnxruntime_graph import Native, declared, load, placement
from engines.bundle import Bundle
from engines.cpu import read_cpu
from engines.errors import BundleError, InferenceError
from engines.guard import Held, misuse
from engines.manifest import Artifact
from engines.members import join, members_of, session_info
from engines.pieces import in_pieces
from engines.providers import CPU, TENSORRT, Provider
from engines.session import Outputs, SessionInfo
from engines.tensors import blank, check_input, declaration_defects, input_spec, matches, output_specs

FIRST_RUN_S = 60.0  # ten full-size members take five on two slow cores


@dataclass(frozen=True, slots=True)
class _Open:
    """What exists between enter and exit."""

    natives: tuple[Native, ...]  # one an artifact
    errors: tuple[type[Exception], ...]
    provider: str


def default_threads() -> int:
    """Return the threads for one inference: all physical cores but one, which paints the screen."""
    return max(1, read_cpu().cores - 1)


class OnnxSession:
    """A session of ONNX Runtime, bound to the thread that enters it.

    Parameters
    ----------
    bundle : Bundle
        Verified; its manifest says what goes in and comes out.
    artifacts : Artifact or tuple of Artifact
        Which of its ONNX files to run, at one precision. Members that were left as separate artifacts are all run,
        in the order given, and answer as one model; a single one of them answers as a model of one member.
    threads : int or None
        Threads of one inference; None: all physical cores but one, or a single one where a GPU does the work.
    provider : Provider
        What it runs on. Nothing else takes its place: where it cannot be loaded, entering fails.
    """

    def __init__(
        self,
        bundle: Bundle,
        artifacts: Artifact | tuple[Artifact, ...],
        threads: int | None = None,
        provider: Provider = CPU,
    ) -> None:
        self._bundle = bundle
        self._artifacts = (artifacts,) if isinstance(artifacts, Artifact) else artifacts
        self._input = input_spec(bundle.manifest)
        self._outputs = output_specs(bundle.manifest, members_of(bundle.manifest, self._artifacts[:1]))  # of each
        self._threads = threads if threads is not None else 1 if provider.on_gpu else default_threads()
        self._provider = provider
        self._run_options: object | None = None  # of the first run, which may be ended from outside
        self._version = ""
        self._held = Held[_Open]()

    @property
    def info(self) -> SessionInfo:
        """What produces the numbers; version, GPU and where each node runs are known once the session was entered."""
        opened = self._held.seen
        by = f"{self._provider.name} {self._version}".strip() if opened is None else opened.provider
        return session_info(self._provider.runtime, by, self._artifacts)

    def __enter__(self) -> OnnxSession:
        """Load each artifact, check it against the manifest and run all once.

        Raises
        ------
        RuntimeUnavailableError
            ONNX Runtime or the provider is absent or broken.
        BundleError
            An artifact is not what its manifest says, or cannot be loaded.
        InferenceError
            The session is already entered, or the first run fails.
        """
        self._held.refuse_twice()
        place = find_place(self._provider)
        self._version = place.version
        natives = tuple(self._load(place, artifact) for artifact in self._artifacts)
        self._held.take(_Open(natives, place.errors, placement(place, self._provider, natives)))
        try:
            with self._bounded(place.library):
                for crops in self._provider.warm:
                    self.infer(blank(self._input, crops))
        except InferenceError:
            self._held.drop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the artifacts; on the thread that entered."""
        self._held.get()
        self._held.drop()

    @property
    def members_apart(self) -> int:
        """How many members can be run by themselves: one an artifact, or none (1) where one artifact holds all."""
        return len(self._artifacts)

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Run ``uint8 (N, H, W, 3)`` RGB crops, N >= 1; see ``engines.session.Session.infer``."""
        opened = self._held.get()
        return self._answers(opened, opened.natives, crops)

    def infer_member(self, member: int, crops: NDArray[np.uint8]) -> Outputs:
        """Run one member alone; see ``engines.session.MemberSession.infer_member``."""
        opened = self._held.get()
        if len(opened.natives) == 1 or not 0 <= member < len(opened.natives):
            raise misuse(f"it has no member {member} by itself", "run all of them")
        return self._answers(opened, opened.natives[member : member + 1], crops)

    def _answers(self, opened: _Open, natives: tuple[Native, ...], crops: NDArray[np.uint8]) -> Outputs:
        check_input(self._input, crops)
        run = partial(self._piece, opened, natives)
        return in_pieces(run, crops, self._provider.largest, self._provider.runtime)

    def _piece(self, opened: _Open, natives: tuple[Native, ...], crops: NDArray[np.uint8]) -> Outputs:
        feed = {self._input.name: np.ascontiguousarray(crops)}
        parts = [self._run(native, opened.errors, feed) for native in natives]
        return join(self._bundle.manifest, parts)  # new arrays: the caller owns them

    def _run(self, native: Native, errors: tuple[type[Exception], ...], feed: dict[str, NDArray[np.uint8]]) -> Outputs:
        try:
            arrays = native.run([spec.name for spec in self._outputs], feed, self._run_options)
        except errors as error:
            raise _failure(error) from error
        for spec, array in zip(self._outputs, arrays, strict=True):
            if not matches(spec, array.dtype.name, array.shape):
                because = f"'{spec.name}' is {array.dtype.name} {array.shape} instead of {spec}"
                raise InferenceError("The model gave no usable answer", because, "convert the model again")
        return {spec.name: array for spec, array in zip(self._outputs, arrays, strict=True)}

    @contextmanager
    def _bounded(self, library: ModuleType) -> Iterator[None]:
        """End a first run that does not end by itself: a graph may hold a loop. Building an engine takes its time."""
        options = None if self._provider is TENSORRT else library.RunOptions()
        self._run_options = options
        watch = threading.Timer(FIRST_RUN_S, setattr, (options, "terminate", True))
        if options is not None:
            watch.start()
        try:
            yield
        finally:
            watch.cancel()
            self._run_options = None

    def _load(self, place: Place, artifact: Artifact) -> Native:
        native = load(place, self._provider, self._bundle, artifact, self._threads)
        defects = declaration_defects(self._input, self._outputs, *declared(native))
        if defects:
            raise BundleError(
                f"The artifact {artifact.file} is not what its manifest says", "; ".join(defects), "convert again"
            )
        return native


def _failure(error: Exception) -> InferenceError:
    because, cure = first_line(error), "restart the program and run the self-test"
    if "terminate flag" in str(error):
        because = f"its first run did not end within {FIRST_RUN_S:g} s"
        cure = "ask for another copy of the bundle"
    return InferenceError("The model could not be run", because, cure)
