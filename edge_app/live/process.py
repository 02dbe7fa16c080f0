"""One life of the scanner worker as the window sees it: a process, two pipes, a listening thread."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection

from pydantic import ValidationError

from edge_app.live import worker
from edge_app.live.messages import DownMessage, Report, UpMessage, WorkerPlan, decode_up, encode
from engines.interrupts import unheard_by_children

MAX_REPORTS = 64  # kept while the window does not ask; older ones are of no use to anyone
MAX_MESSAGE_BYTES = 16 << 20  # a crop of 1024 x 1024 px takes 4 MiB; more is the noise of a worker gone mad
FORCE_S = 1.0  # for a signal to end a process


class WorkerProcess:
    """Starts at once; ``messages`` never blocks, because a thread of its own listens.

    That thread is there for the day on which the worker stops in the middle of a message.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        context = multiprocessing.get_context("spawn")
        self._up, up_end = context.Pipe(duplex=False)
        down_end, self._down = context.Pipe(duplex=False)
        # Strings, numbers and connections alone: multiprocessing pickles them, and nothing else is ever pickled.
        self._process = context.Process(
            target=worker.main, args=(plan.model_dump_json(), up_end, down_end), name="echogfr-worker", daemon=True
        )
        with unheard_by_children():  # Ctrl-C goes to the whole group, and the worker is not yet deaf to it
            self._process.start()
        up_end.close()
        down_end.close()
        os.set_blocking(self._down.fileno(), False)  # a worker that does not listen must not hold the window
        self.heard_s = time.monotonic()
        self._others: deque[UpMessage] = deque()
        self._reports: deque[UpMessage] = deque(maxlen=MAX_REPORTS)
        self._silent_for_good = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="echogfr-listener", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    @property
    def dead(self) -> bool:
        """True once the process has ended or closed its pipe."""
        return self._silent_for_good.is_set() or not self._process.is_alive()

    def messages(self) -> list[UpMessage]:
        """Return what came since the last call; reports last, else in order."""
        return [*_drained(self._others), *_drained(self._reports)]

    def send(self, message: DownMessage) -> bool:
        """Send a message; False if it could not be delivered now."""
        try:
            self._down.send_bytes(encode(message))
        except OSError:  # full, or closed by a worker that died: the supervisor sees to either
            return False
        return True

    def end(self, timeout_s: float) -> None:
        """Wait for an orderly end, then use force; leaves no process, thread or pipe."""
        self._process.join(timeout_s)
        self.kill()
        self.bury()

    def kill(self) -> None:
        """End it by force, without waiting for it: a worker that hangs or has died is owed nothing."""
        self._process.kill()
        self._down.close()

    def gone(self) -> bool:
        """Return whether nothing is left of a killed worker; ask again until it is so.

        A process that waits for a driver inside the kernel outlives even SIGKILL until the driver lets it go.
        """
        if self._process.is_alive() or self._listener.is_alive():
            return False
        self._up.close()
        self._process.close()
        return True

    def bury(self) -> None:
        """Wait a moment for a killed worker to be gone; what the kernel still holds is left to it."""
        self._process.join(FORCE_S)
        self._listener.join(FORCE_S)  # the pipe is at its end by now
        self.gone()

    def _listen(self) -> None:
        try:
            while True:
                message = _receive(self._up)
                self.heard_s = time.monotonic()
                (self._reports if isinstance(message, Report) else self._others).append(message)
        except (EOFError, OSError, ValidationError):
            self._silent_for_good.set()  # what speaks no JSON of ours is as good as dead


def _receive(connection: Connection) -> UpMessage:
    return decode_up(connection.recv_bytes(MAX_MESSAGE_BYTES))


def _drained(queue: deque[UpMessage]) -> list[UpMessage]:
    drained = []
    with suppress(IndexError):
        while True:
            drained.append(queue.popleft())
    return drained
