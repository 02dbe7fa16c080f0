"""What goes into the log of what window and worker tell each other: no patient, no picture, no name of a source."""

from __future__ import annotations

import traceback
from types import TracebackType

from edge_app.live.messages import Ended, Failed, Lost, Message, ModelSummary, Recovered, Report, Started
from edge_app.log import Log
from engines.version import version_lines

KINDS = ("phantom", "file", "dicom", "folder")  # of sources; the rest of an address names a patient's file


def first_line(model: ModelSummary | None, refused: str = "") -> str:
    """Return what is installed, what runs the model, and why; ``refused``: why nothing does."""
    versions = ", ".join(version_lines())
    if model is None:
        return f"{versions}; no model runs: {refused or 'not told'}"
    mark = " SYNTHETIC" if model.synthetic else ""
    bundle = f"{model.bundle_id} {model.version}{mark} {model.sha256[:12]}, {model.signature}"
    return f"{versions}; runs {model.runtime} {model.precision} ({model.provider}) with {bundle}; why: " + "; ".join(
        model.selection
    )


def told(message: Message) -> str:
    """Return a message as a line of the log; empty: it does not go there."""
    if isinstance(message, Started):
        kind = message.source.uri.partition(":")[0]
        return f"started: source of kind {kind if kind in KINDS else 'other'}, worker {message.pid}"
    if isinstance(message, Failed):
        # The sentence about a source names it, and files are named after patients.
        return f"failed: {message.scope}" + ("" if message.scope == "source" else f": {message.sentence}")
    if isinstance(message, Lost):
        return f"lost: {message.cause}"
    if isinstance(message, Recovered):
        return f"recovered after {message.after_ms:.0f} ms"
    return f"ended after {message.frames} frames" if isinstance(message, Ended) else ""


def defect(kind: type[BaseException], trace: TracebackType | None) -> str:
    """Return a defect of ours as a line: its kind and where it was, not what it said, which may name a file."""
    places = [f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})" for frame in _frames(trace)]
    return f"defect: {kind.__name__} in {' < '.join(reversed(places)) or 'nowhere'}"


def _frames(trace: TracebackType | None) -> traceback.StackSummary:
    return traceback.extract_tb(trace)


class Journal:
    """Writes what the window hears into a log, which begins when it is known what runs the model."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._model: ModelSummary | None = None
        self._read = False

    def hear(self, message: Message) -> None:
        """Take a message in."""
        if isinstance(message, Started) and message.model is not None:
            self._begin(message.model)
        elif isinstance(message, Failed):
            self._log.begin(first_line(None, told(message)))
        line = told(message) or self._first(message)
        if line:
            self._log.say(line)

    def _first(self, message: Message) -> str:
        """Return a line for the first number after a start: that one came, and when, but not which."""
        read, self._read = (
            self._read,
            self._read or (isinstance(message, Report) and message.report.readout is not None),
        )
        return "first number shown" if self._read and not read else ""

    def _begin(self, model: ModelSummary) -> None:
        if self._log.begun and model != self._model:
            self._log.say(first_line(model))  # a worker that was restarted chose something else
        self._log.begin(first_line(model))
        self._model = model
        self._read = False
