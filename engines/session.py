"""The Session protocol: a loaded artifact, or those of several members as one, bound to one thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.manifest import Precision

Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What produces the numbers: shown on screen, in each reading and in the log."""

    runtime: str  # "onnxruntime"
    provider: str  # "CPUExecutionProvider 1.31.1"
    precision: Precision
    artifact: str  # file name in the bundle; "... and 2 more" where members are separate artifacts
    artifact_sha256: str  # of the file; of several, one that stands for all: see engines.members
    note: str = ""  # what the operator must know of how the last answer came about: a fallback, a return


@runtime_checkable
class Session(Protocol):
    """Enter, infer as often as needed, exit: all three on the same thread.

    ``__enter__`` loads and warms up; all waiting is in there. After it, ``infer`` needs no further
    preparation. ``infer`` before ``__enter__``, after ``__exit__`` or from another thread raises
    ``InferenceError``.
    """

    @property
    def info(self) -> SessionInfo: ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Run ``uint8 (N, H, W, 3)`` RGB crops; N >= 1.

        Returns one float32 array an output, by the graph's output names. THE CALLER OWNS THEM: they
        are never reused by a later call.

        Raises
        ------
        TensorMismatchError
            Wrong shape or dtype.
        InferenceError
            The runtime failed, or an output holds NaN or infinity.
        """
        ...


@runtime_checkable
class MemberSession(Session, Protocol):
    """A session that can also run a single member of its model, where the members are separate artifacts.

    One whose artifact holds all members says 1 of ``members_apart``, and is never asked for a member.
    """

    @property
    def members_apart(self) -> int:
        """How many members can be run by themselves; 1: none."""
        ...

    def infer_member(self, member: int, crops: NDArray[np.uint8]) -> Outputs:
        """Run one member, 0 <= member < ``members_apart``; outputs and errors as ``infer``, of a model of one member.

        Raises
        ------
        InferenceError
            Also where the session has no such member.
        """
        ...


def members_apart(session: Session) -> int:
    """Return how many members a session can run by themselves; 1: it can only run all at once."""
    return session.members_apart if isinstance(session, MemberSession) else 1
