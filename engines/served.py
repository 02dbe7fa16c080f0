"""A session on an inference server: the server must prove that it runs this very bundle, at its start and after a gap.

While the server is away every inference is refused at once; it is looked for again with growing pauses, on the thread
of the session and between two inferences.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engines import _triton, selftest
from engines._triton import Connection, ServedModel
from engines.bundle import Bundle
from engines.errors import BundleError, EchoGFRError, InferenceError, ServerUnavailableError
from engines.guard import Held, misuse
from engines.manifest import Artifact
from engines.members import join, members_of, session_info
from engines.parity import parity_fault
from engines.pieces import in_pieces
from engines.server import ARTIFACT_SHA256, BUNDLE_SHA256, Server, model_name, part_name
from engines.session import Outputs, SessionInfo
from engines.tensors import (
    TensorSpec,
    blank,
    check_input,
    declaration_defects,
    input_spec,
    matches,
    output_specs,
)

FIRST_PAUSE_S = 0.5  # before a server that is away is looked for again; doubles
LONGEST_PAUSE_S = 10.0
GREETING_S = 0.5  # a server that is looked for again: the readout waits for it so long
NOTE_S = 10.0  # a return is told with the readings of so long


@dataclass(frozen=True, slots=True)
class _Link:
    """A server that proved itself."""

    connection: Connection
    model: ServedModel
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class _Gap:
    """Since when a server is away, and when it is looked for again; times of the monotonic clock."""

    since_s: float
    pause_s: float
    again_s: float
    error: ServerUnavailableError


@dataclass(slots=True)
class _Open:
    """What exists between enter and exit."""

    link: _Link | None = None
    gap: _Gap | None = None
    returned_s: float | None = None
    gap_s: float = 0.0


class TritonSession:
    """A session on a Triton server, or one that speaks its protocol, bound to the thread that enters it.

    Parameters
    ----------
    bundle : Bundle
        Verified; the server must run exactly this one.
    artifacts : tuple of Artifact
        Which precision; where the server has the artifact of another family at this precision, that is what runs.
    server : Server
        As the operator named it.
    """

    def __init__(self, bundle: Bundle, artifacts: tuple[Artifact, ...], server: Server) -> None:
        self._bundle = bundle
        self._artifacts = artifacts
        self.server = server
        self._name = model_name(bundle.manifest, artifacts[0].precision)
        self._input = input_spec(bundle.manifest)
        self._title = ""
        self._held = Held[_Open]()

    @property
    def info(self) -> SessionInfo:
        """What produces the numbers; the server's name and version are known once the session was entered."""
        info = session_info(_triton.NAME, f"{self.server.where} {self._title}".strip(), self._artifacts)
        return replace(info, note=self._note())

    def __enter__(self) -> TritonSession:
        """Ask the server who it is and what it runs, and run it once.

        Raises
        ------
        RuntimeUnavailableError
            Triton's client is not there, or a certificate cannot be read.
        ServerUnavailableError
            The server does not answer, or is not one that is trusted.
        BundleError
            It has not this bundle.
        InferenceError
            The session is already entered, or the first run fails.
        """
        self._held.refuse_twice()
        opened = self._held.take(_Open())
        try:
            opened.link = self._connect()
            self._ask(opened.link, blank(self._input))
        except BaseException:  # Ctrl-C too: no connection stays open
            self._close()
            raise
        return self

    @contextmanager
    def waiting(self) -> Iterator[TritonSession]:
        """Enter, but take a server that is away at the start for one that was lost: it is looked for."""
        try:
            self.__enter__()
        except ServerUnavailableError as error:
            self._lose(self._held.take(_Open()), error)
        try:
            yield self
        finally:
            self.__exit__(None, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the server; on the thread that entered."""
        self._held.get()
        self._close()

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Run ``uint8 (N, H, W, 3)`` RGB crops, N >= 1; see ``engines.session.Session.infer``.

        Raises
        ------
        ServerUnavailableError
            The server is away; the next call may be answered again.
        """
        opened = self._held.get()
        check_input(self._input, crops)
        link = opened.link or self._return(opened)
        try:
            return self._ask(link, crops)
        except ServerUnavailableError as error:
            self._lose(opened, error)
            raise

    def _ask(self, link: _Link, crops: NDArray[np.uint8]) -> Outputs:
        return in_pieces(partial(self._ask_batch, link), crops, link.model.max_batch, _triton.NAME)

    def _ask_batch(self, link: _Link, crops: NDArray[np.uint8]) -> Outputs:
        specs = self._served_specs(link.artifacts)
        arrays = link.connection.infer(self._name, (self._input.name, crops), [spec.name for spec in specs])
        for spec in specs:
            array = arrays[spec.name]
            if not matches(spec, array.dtype.name, array.shape) or len(array) != len(crops):
                because = f"'{spec.name}' is {array.dtype.name} {array.shape} instead of {spec}"
                raise InferenceError("The model gave no usable answer", because, "write the repository again")
        manifest, artifacts = self._bundle.manifest, link.artifacts
        if len(artifacts) == 1:
            return join(manifest, [arrays])
        names = [output.name for output in manifest.outputs]
        return join(manifest, [{name: arrays[part_name(name, at)] for name in names} for at in range(len(artifacts))])

    def _served_specs(self, artifacts: tuple[Artifact, ...]) -> tuple[TensorSpec, ...]:
        """Return the outputs of the model on the server: of members that are apart, those of each."""
        specs = output_specs(self._bundle.manifest, members_of(self._bundle.manifest, artifacts[:1]))
        if len(artifacts) == 1:
            return specs
        return tuple(replace(s, name=part_name(s.name, at)) for at in range(len(artifacts)) for s in specs)

    def _connect(self, deadline_s: float | None = None) -> _Link:
        connection = Connection(self.server)
        try:
            title = connection.greet(deadline_s)
            model = connection.describe(self._name)
            artifacts = self._proven(model)
            defects = declaration_defects(self._input, self._served_specs(artifacts), model.inputs, model.outputs)
            if defects and (model.inputs or model.outputs):  # some servers declare nothing: golden vectors must do
                raise BundleError(
                    f"The model {self._name} on {self.server.where} is not what its manifest says",
                    "; ".join(defects),
                    "write the repository again",
                )
        except BaseException:  # Ctrl-C too: no connection stays open
            connection.close()
            raise
        doubt = "(does not tell its bundle: golden vectors only) " if model.parameters is None else ""
        self._artifacts, self._title = artifacts, f"{doubt}{title}"
        return _Link(connection, model, artifacts)

    def _proven(self, model: ServedModel) -> tuple[Artifact, ...]:
        """Return the artifacts that the server runs; those asked for where it cannot tell."""
        if model.parameters is None:
            return self._artifacts
        told = model.parameters.get(BUNDLE_SHA256, "")
        if told != self._bundle.sha256:
            of = f"the bundle {told[:12]}" if told else "a bundle that it does not name"
            raise self._another(f"it has {of}, here is {self._bundle.sha256[:12]}")
        precision = self._artifacts[0].precision
        for family in ("cpu", "tensorrt"):
            try:
                artifacts = self._bundle.artifacts(precision, family)
            except BundleError:
                continue
            if session_info("", "", artifacts).artifact_sha256 == model.parameters.get(ARTIFACT_SHA256):
                fault = parity_fault(self._bundle.manifest, artifacts[0])
                if fault:
                    raise self._another(f"it runs {artifacts[0].file}, and {fault}")
                return artifacts
        raise self._another("it runs no artifact of it")

    def _another(self, because: str) -> BundleError:
        return BundleError(
            f"The server {self.server.where} cannot run this bundle", because, "write its repository from this bundle"
        )

    def _lose(self, opened: _Open, error: ServerUnavailableError, pause_s: float = FIRST_PAUSE_S) -> None:
        if opened.link is not None:
            opened.link.connection.close()
        opened.link = None
        now_s = time.monotonic()
        since_s = opened.gap.since_s if opened.gap else now_s
        opened.gap = _Gap(since_s, pause_s, now_s + pause_s, error)

    def _return(self, opened: _Open) -> _Link:
        """Look for a server that was lost, if it is time; it must prove itself anew, golden vectors included."""
        gap = opened.gap
        if gap is None:
            raise misuse("it is not entered", "use it inside its with block")
        if time.monotonic() < gap.again_s:
            raise gap.error
        try:
            opened.link = self._connect(GREETING_S)
            selftest.run(self._bundle, self)
        except EchoGFRError as error:
            away = ServerUnavailableError(error.what, error.because, error.cure)
            self._lose(opened, away, min(2 * gap.pause_s, LONGEST_PAUSE_S))
            raise away from error
        opened.returned_s = time.monotonic()
        opened.gap_s = opened.returned_s - gap.since_s
        opened.gap = None
        return opened.link

    def _note(self) -> str:
        opened = self._held.seen
        if opened is None or opened.returned_s is None or time.monotonic() - opened.returned_s > NOTE_S:
            return ""
        return f"The server {self.server.address} answers again, after {opened.gap_s:.0f} s."

    def _close(self) -> None:
        opened = self._held.seen
        if opened is not None and opened.link is not None:
            opened.link.connection.close()
        self._held.drop()
