"""The composition root of ``echogfr run``: builds supervisor and window once, and owns quitting.

Without a display the same window runs offscreen for a while, tells in lines what it shows, and saves one
picture. PyQt6 is imported in ``run`` alone, so that the command line works without it.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Literal

from edge_app.log import NAMES, Log
from engines.manifest import Precision
from engines.server import Server
from engines.trust import Policy

if TYPE_CHECKING:
    from edge_app.ui._qt import QApplication
    from edge_app.ui.main_window import MainWindow

SIGNALS = (signal.SIGINT, signal.SIGTERM)
DEMO_SECONDS = 20.0  # long enough for the phantom to scan, freeze and measure at least once
SCREENSHOT = Path("out") / "echogfr-first-light.png"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What ``echogfr run`` was asked for; None means: the app chooses and says what it chose."""

    source: str = "phantom:"
    bundle: Path | None = None  # None: the chosen one, or the synthetic stand-in that is shipped
    signatures: Policy | None = None
    runtime: str | None = None
    precision: Precision | None = None
    server: Server | None = None
    fallback: str | None = None
    allow_out_of_domain: bool = False
    rotate: Literal["auto", "on", "off"] = "auto"
    quality: Path | None = None  # the operator's own limits of the quality gate
    localizer: str | None = None  # as in the settings
    fullscreen: bool = False
    offscreen_seconds: float | None = None  # None: a window, or the demo where there is no display
    asked: str = ""  # by whom runtime and precision were asked for, in words
    logs: Path | None = None  # folder; None: no log is written
    screenshot: Path | None = None  # of the demo; None: out/echogfr-first-light.png


def run(options: RunOptions) -> int:
    """Open the window and stay until it is closed; return the exit code.

    Offscreen: 0 if a number came within the time, else 1.

    Raises
    ------
    UsageError
        PyQt6 is missing, or the picture cannot be saved.
    """
    seconds = options.offscreen_seconds
    if seconds is None and not has_display():
        seconds = DEMO_SECONDS
    if seconds is not None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with _signals_noted() as noted:
        app = _application()
        window = _window(options)
        with _log(options, window) as log, _quitting(app, window, log, noted):
            return _show(app, window, options) if seconds is None else _demo(app, window, options, seconds)


def has_display() -> bool:
    """Whether a window can be opened: always but on a Unix without X or Wayland."""
    asked = os.environ.get("QT_QPA_PLATFORM", "")
    if sys.platform in ("win32", "darwin") or asked not in ("", "offscreen", "xcb", "wayland"):
        return True
    return asked != "offscreen" and any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _application() -> QApplication:
    from edge_app.ui import theme
    from edge_app.ui._qt import QApplication

    running = QApplication.instance()
    app = running if isinstance(running, QApplication) else QApplication(["echogfr"])
    app.setApplicationName("EchoGFR")
    app.setDesktopFileName("echogfr")  # the window belongs to that entry of the menu, and has its icon
    theme.apply(app)
    return app


def _window(options: RunOptions) -> MainWindow:
    from edge_app.imaging.thresholds import load_thresholds
    from edge_app.live.messages import WorkerPlan
    from edge_app.live.supervisor import Supervisor
    from edge_app.ui.main_window import MainWindow

    load_thresholds(options.quality)  # a mistake in it is said here, not by a worker that cannot go on
    plan = WorkerPlan(
        source=options.source,
        bundle=str(options.bundle) if options.bundle is not None else None,
        signatures=options.signatures,
        runtime=options.runtime,
        precision=options.precision,
        server=options.server,
        fallback=options.fallback,
        allow_out_of_domain=options.allow_out_of_domain,
        rotate=options.rotate,
        asked=options.asked,
        logs=None if options.logs is None else str(options.logs),
        quality=str(options.quality) if options.quality is not None else None,
        localizer=options.localizer,
    )
    return MainWindow(Supervisor(plan))


def _show(app: QApplication, window: MainWindow, options: RunOptions) -> int:
    window.start()
    window.open(fullscreen=options.fullscreen)
    return app.exec()


def _demo(app: QApplication, window: MainWindow, options: RunOptions, seconds: float) -> int:
    from edge_app.capture.naming import shown
    from edge_app.ui._qt import QTimer
    from edge_app.ui.narrator import Narrator
    from edge_app.ui.screenshot import grab_masked, image_box, save

    _say(f"No display: the window runs offscreen for {seconds:g} s on {shown(options.source)}")
    narrator = Narrator(window, _say)
    window.start()
    window.show()
    end = QTimer()
    end.setSingleShot(True)
    end.setInterval(round(1000 * seconds))
    end.timeout.connect(app.exit)  # not quit, which would close the window before its picture is taken
    end.start()
    code = app.exec()
    end.stop()
    path = options.screenshot or SCREENSHOT
    save(narrator.picture or grab_masked(window), path, image_box(window))
    _say(f"Picture of the window, identity masked: {path}")
    if code == 0 and narrator.readings == 0:
        _say(f"No number came within {seconds:g} s; the lines above say why.")
        return 1
    return code


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _log(options: RunOptions, window: MainWindow) -> Iterator[Log]:
    """Keep the log of the window: what it hears of the worker."""
    from edge_app.live.journal import Journal

    log = Log(options.logs, NAMES[0])
    journal = Journal(log)  # held here: Qt does not keep what it calls
    window.bridge.message_came.connect(journal.hear)
    try:
        yield log
        log.say("closed")
    finally:
        log.close()


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Note signals while Qt is imported and the window is built: an error in the middle of that crashes Qt."""
    noted: list[int] = []
    handlers = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _quitting(app: QApplication, window: MainWindow, log: Log, noted: list[int]) -> Iterator[None]:
    """End in order on a signal or an error in a slot: no process and no shared memory may outlive the window."""
    from edge_app.live.journal import defect
    from edge_app.ui._qt import QTimer

    def on_signal(number: int, frame: FrameType | None) -> None:
        QTimer.singleShot(0, lambda: app.exit(128 + number))  # heard also where it came before the event loop

    def on_error(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, value, trace)  # a defect of ours: PyQt would abort and leave the worker
        log.say(defect(kind, trace))
        app.exit(70)  # EX_SOFTWARE

    before, sys.excepthook = sys.excepthook, on_error
    handlers = {number: signal.signal(number, on_signal) for number in SIGNALS}
    for number in noted[:1]:
        on_signal(number, None)
    try:
        yield
    finally:
        app.setQuitOnLastWindowClosed(False)  # it would post a quit that nobody is left to hear
        window.close()
        app.setQuitOnLastWindowClosed(True)
        sys.excepthook = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
