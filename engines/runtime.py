"""What a runtime is to the selection: one row of the table, and whether it can be used here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engines.bundle import Bundle
from engines.cpu import Cpu
from engines.manifest import Artifact, Family, Precision
from engines.session import Session

State = Literal["usable", "absent", "broken"]
Outcome = Literal["chosen", "possible", "passed over", "unavailable"]


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a runtime can be used here. ``detail``: its version, or why not and what to do."""

    state: State
    detail: str

    @property
    def usable(self) -> bool:
        """True if sessions can be opened."""
        return self.state == "usable"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One row of the table. ``order``: precisions from the first to be tried to the last.

    ``automatic``: what is done with a precision that nobody asked for, and why. ``named``: why it is taken only where
    it is asked for by name; empty where it is not so. ``builds``: whether the start of a session would build something
    for minutes. ``ready``: what these artifacts are run from, where something must have been made of them first; raises
    an ``EchoGFRError`` where it was not. ``reject``: remembers that it failed its self-test, and why; False where it
    cannot.
    """

    name: str
    title: str
    family: Family
    order: tuple[Precision, ...]
    probe: Callable[[], Availability]
    open: Callable[[Bundle, tuple[Artifact, ...]], Session]
    automatic: Callable[[Precision, Cpu], tuple[Outcome, str]]
    named: str = ""
    builds: Callable[[tuple[Artifact, ...]], bool] | None = None
    ready: Callable[[Bundle, tuple[Artifact, ...]], str] | None = None
    reject: Callable[[Bundle, tuple[Artifact, ...], str], bool] | None = None
