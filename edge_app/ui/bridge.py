"""The bridge: a timer that asks the supervisor what is new and tells the window by signals."""

from __future__ import annotations

from edge_app.ui._qt import QElapsedTimer, QObject, Qt, QTimer, pyqtSignal
from edge_app.ui.supply import Worker

POLL_MS = 15  # twice a picture at 30 fps; the supervisor notices a death within 0.5 s
SLOW_MS = 250  # ages and rates: what changes without news


class Bridge(QObject):
    """Owns the two timers; lives on the window's thread; no call in it waits.

    Signals, all on the window's thread: ``frame_came(FrameView)`` when the newest picture is another than
    before; then ``message_came(Message)``, in order of sending; ``time_passed()`` four times a second.
    """

    message_came = pyqtSignal(object)
    frame_came = pyqtSignal(object)
    time_passed = pyqtSignal()

    def __init__(self, worker: Worker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = worker
        self._clock = QElapsedTimer()
        self._clock.start()
        self._seen: tuple[int, float] | None = None
        self._poll = self._timer(POLL_MS)
        self._poll.timeout.connect(self.turn)
        self._slow = self._timer(SLOW_MS)
        self._slow.timeout.connect(self.time_passed)

    def _timer(self, interval_ms: int) -> QTimer:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.setInterval(interval_ms)
        return timer

    @property
    def now_ms(self) -> float:
        """The window's clock: monotonic, milliseconds since the bridge was built."""
        return self._clock.nsecsElapsed() / 1e6

    def start(self) -> None:
        """Start the worker and the timers."""
        self._worker.start()
        self._poll.start()
        self._slow.start()

    def turn(self) -> None:
        """Ask once."""
        messages = self._worker.poll()
        view = self._worker.newest_frame()
        if view is not None and (view.index, view.t_ms) != self._seen:
            self._seen = (view.index, view.t_ms)
            self.frame_came.emit(view)
        del view  # a view holds the ring
        for message in messages:
            self.message_came.emit(message)

    def close(self) -> None:
        """Stop asking, then end the worker; may be called twice."""
        if self._poll.isActive() or self._slow.isActive():
            self._poll.stop()
            self._slow.stop()
            self._worker.close()
