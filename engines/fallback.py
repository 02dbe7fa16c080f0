"""A session that this machine takes over while an inference server is away; only with the operator's consent."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engines import selftest
from engines.bundle import Bundle
from engines.errors import ServerUnavailableError
from engines.guard import Held
from engines.served import TritonSession
from engines.session import Outputs, Session, SessionInfo


class FallbackSession:
    """The server's session, and one on this machine that answers while the server does not; both on one thread.

    ``info`` is of the one that gave the last answer, and its note says so while it is not the server's.

    Parameters
    ----------
    bundle : Bundle
        Of both.
    served : TritonSession
        Asked first, each time.
    local : Session
        On this machine; it passes its own self-test before anything is read.
    """

    def __init__(self, bundle: Bundle, served: TritonSession, local: Session) -> None:
        self._bundle = bundle
        self._served = served
        self._local = local
        self._away: ServerUnavailableError | None = None
        self._held = Held[ExitStack]()

    @property
    def info(self) -> SessionInfo:
        """What produced the last answer."""
        if self._away is None:
            return self._served.info
        note = (
            f"Read on this machine, at {self._local.info.precision}: the server {self._served.server.address} is away."
        )
        return replace(self._local.info, note=note)

    def __enter__(self) -> FallbackSession:
        """Enter both; a server that is away at the start is taken in when it comes.

        Raises
        ------
        EchoGFRError
            The session on this machine cannot be used, or the server is there and has another bundle.
        """
        self._held.refuse_twice()
        with ExitStack() as stack:
            selftest.run(self._bundle, stack.enter_context(self._local))
            stack.enter_context(self._served.waiting())
            self._held.take(stack.pop_all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave both; on the thread that entered."""
        self._held.get().__exit__(kind, value, trace)
        self._held.drop()

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Ask the server, and this machine where that is away; see ``engines.session.Session.infer``."""
        try:
            outputs = self._served.infer(crops)
        except ServerUnavailableError as error:
            self._away = error
            return self._local.infer(crops)
        self._away = None
        return outputs
