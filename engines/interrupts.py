"""Ctrl-C from the first moment on: a program whose libraries take a second to import ends without a traceback.

This module imports nothing that takes time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130
LOOK_S = 0.02


def enter(load: Callable[[], Callable[[], None]]) -> None:
    """Run a program: ``load`` imports it and returns its main function.

    Ctrl-C while it is imported, or while it ends, ends the process at once with code 130: nothing is held yet, or any
    more. In between it raises ``KeyboardInterrupt``, but not inside an import. Where it is ignored (``nohup``), it
    stays so.
    """
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, _leave)
    main = load()
    try:
        if heard:
            signal.signal(signal.SIGINT, _Interrupt())
        main()
    except KeyboardInterrupt:  # a second one, while the first was being obeyed
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        if heard:
            signal.signal(signal.SIGINT, _leave)
            if hasattr(signal, "setitimer"):  # of one that waited for an import: it would end Python
                signal.setitimer(signal.ITIMER_REAL, 0)


class _Interrupt:
    """Raises ``KeyboardInterrupt``; inside an import it waits for its end, a second Ctrl-C does not.

    Libraries that are interrupted while they are imported turn that into errors of their own, or pass over it.
    """

    def __init__(self) -> None:
        self._waits = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not _is_importing(frame) or not hasattr(signal, "setitimer"):
            self._waits = False
            raise KeyboardInterrupt
        if self._waits:
            _leave(number, frame)
        self._waits = True
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, LOOK_S)

    def _look(self, number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            signal.setitimer(signal.ITIMER_REAL, LOOK_S)
            return
        self._waits = False
        signal.raise_signal(signal.SIGINT)  # to whoever listens by now


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def unheard_by_children() -> Iterator[None]:
    """Let a child be born deaf to Ctrl-C, before its first own line could say so; here it is heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)
