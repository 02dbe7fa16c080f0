"""What the process that builds an engine says to the one that waits for it: JSON over a pipe, one message a time."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from engines.engine_record import LayerSummary

REPORT_EVERY_S = 0.1
HEARD_EVERY_S = 1.0


class Advance(BaseModel):
    """How far the build is."""

    kind: Literal["advance"] = "advance"
    stage: str
    done: int
    total: int


class Heard(BaseModel):
    """The library wrote to its log: it works, whatever it does."""

    kind: Literal["heard"] = "heard"


class Finished(BaseModel):
    """The engine lies in the draft."""

    kind: Literal["finished"] = "finished"
    sha256: str
    size_bytes: int
    layers: LayerSummary
    warnings: tuple[str, ...]


class Failed(BaseModel):
    """One sentence, in its three parts."""

    kind: Literal["failed"] = "failed"
    what: str
    because: str
    cure: str


Message = Advance | Heard | Finished | Failed
MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


@dataclass(slots=True)
class Line:
    """The child's end of the pipe, as the watch of a build."""

    connection: Connection
    _reported: float = field(default=0.0)
    _said: float = field(default=0.0)

    def report(self, stage: str, done: int, total: int) -> None:
        """Send progress: the ends of each stage, and between them not too often."""
        now = time.monotonic()
        if 0 < done < total and now - self._reported < REPORT_EVERY_S:
            return
        self._reported = now
        self.send(Advance(stage=stage, done=done, total=total))

    def heard(self) -> None:
        """Send that the library is alive, where nothing else was sent of late."""
        if time.monotonic() - self._said >= HEARD_EVERY_S:
            self.send(Heard())

    def cancelled(self) -> bool:
        """Tell whether the parent closed its end."""
        try:
            return self.connection.poll()
        except OSError:
            return True

    def send(self, message: Message) -> None:
        """Send one message; a parent that is gone hears nothing."""
        self._said = time.monotonic()
        with suppress(OSError):
            self.connection.send_bytes(message.model_dump_json().encode())
