"""Gets raw bytes and names out of a pickled booster without unpickling anything in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from convert.checkpoint import DefectError
from convert.kuo import unpickle_child

TIMEOUT_S = 60.0  # wall clock; the child's own limit of processor time is shorter


@dataclass(frozen=True, slots=True)
class RawBooster:
    """The model as xgboost wrote it, and the names of its columns (None: it was given none)."""

    data: bytes
    names: tuple[str, ...] | None


def unpickle_booster(path: Path) -> RawBooster:
    """Read the pickle at ``path`` in a child process that may do nothing else (see ``unpickle_child``).

    Raises
    ------
    DefectError
        The child refused it, ran over a limit, or answered nonsense.
    """
    command = [sys.executable, "-I", str(Path(unpickle_child.__file__))]
    try:
        with path.open("rb") as stream:
            done = subprocess.run(command, stdin=stream, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise DefectError(f"is refused: reading it took more than {TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise DefectError(f"cannot be read ({error.strerror})") from error
    if done.returncode:
        raise DefectError(f"is refused: {_reason(done)}")
    return _answer(done.stdout)


def _answer(output: bytes) -> RawBooster:
    head, _, raw = output.partition(b"\n")
    fields = json.loads(head)
    if fields["bytes"] != len(raw):
        raise DefectError("is refused: the reader's answer is incomplete")
    names = fields["names"]
    return RawBooster(raw, None if names is None else tuple(names))


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the child's one line, made harmless: what it quotes comes from the file."""
    if done.returncode < 0:
        return "reading it went over a limit of time or memory"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["the reader failed"]
    return "".join(sign for sign in lines[-1][:160] if sign.isprintable())
