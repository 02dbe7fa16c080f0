"""Hears what a builder says while it works: its log, and how far it is; and ends it on demand."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from convert.tensorrt_layers import MESSAGE
from convert.tensorrt_library import Library
from convert.tensorrt_network import HARMLESS, plain


class Watch(Protocol):
    """Who is told how far a build is, and who may end it."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Hear of progress."""
        ...

    def heard(self) -> None:
        """Hear that the library wrote to its log."""
        ...

    def cancelled(self) -> bool:
        """Tell whether the build shall end."""
        ...


class _Severity(Protocol):
    """What is read of ILogger.Severity."""

    name: str


# Scales are half in an INT8 artifact, exactly; that the builder widens them again changes nothing.
EXPECTED = re.compile(r"Converting conv (activation|weight) scales to fp32")


@dataclass(slots=True)
class Logbook:
    """What the library said: errors and warnings, and the text of its layer table."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    layers: str = ""

    def take(self, severity: str, message: str) -> None:
        """Take in one message."""
        if message.startswith(MESSAGE):
            self.layers += f"{message}\n"  # one message was seen, also for several compute capabilities
        elif severity in ("ERROR", "INTERNAL_ERROR") and not HARMLESS.search(message):
            self.errors.append(message)
        elif severity == "WARNING" and not EXPECTED.search(message) and plain(message) not in self.warnings:
            self.warnings.append(plain(message))


def make_logger(library: Library, book: Logbook, watch: Watch) -> object:
    """Return a logger at VERBOSE; its base class belongs to a library that is imported late."""

    def log(_: object, severity: _Severity, message: str) -> None:
        book.take(severity.name, message)
        watch.heard()

    return type("BookLogger", (library.module.ILogger,), {"log": log})()


def make_monitor(library: Library, watch: Watch) -> object:
    """Return a progress monitor that tells ``watch`` each step and ends the build when it says so."""
    steps: dict[str, int] = {}

    def start(_: object, phase: str, parent: str | None, total: int) -> None:
        steps[phase] = total
        watch.report(phase, 0, total)

    def step(_: object, phase: str, done: int) -> bool:
        watch.report(phase, done + 1, steps.get(phase, 0))
        return not watch.cancelled()

    def finish(_: object, phase: str) -> None:
        total = steps.pop(phase, 0)
        watch.report(phase, total, total)

    methods: dict[str, Callable[..., object]] = {"phase_start": start, "step_complete": step, "phase_finish": finish}
    return type("WatchMonitor", (library.module.IProgressMonitor,), methods)()
