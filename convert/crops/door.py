"""Door: pictures that are about to be written go through the app's own door, a process of it, and come back masked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Literal

import numpy as np

from convert.crops.sample import Pixels
from engines.errors import UsageError

WHAT = "Pictures cannot be masked before they are written"
END_S = 5.0
NO_IMAGE = "{} screens were left out because no ultrasound image is seen in them, and nothing else may be written."
RESIDUE = "{} pictures were left out because words that may name the patient could not be hidden in them."
UNREAD = "Words in the crops were not looked for: look at each crop yourself before you give the set away."

Kind = Literal["screen", "crop"]
Outcome = Literal["masked", "no_image", "residue"]


@dataclass(slots=True)
class Changes:
    """What masking has done to crops: so many looked at, so many changed, and by how much (sums over the changed)."""

    crops: int = 0
    changed: int = 0
    share: float = 0.0  # of a crop's pixels
    grey: float = 0.0  # of its mean
    most: float = 0.0  # share of the crop that was changed most

    def note(self, before: Pixels, after: Pixels) -> None:
        """Compare a crop with what is written of it, uint8 (H, W, 3)."""
        share = float((before != after).any(axis=2).mean())
        self.crops += 1
        if share > 0.0:
            self.changed += 1
            self.share += share
            self.grey += abs(float(before.mean()) - float(after.mean()))
            self.most = max(self.most, share)

    @property
    def sentence(self) -> str:
        """What is said of it: the model sees live what is masked here."""
        if not self.changed:
            return f"Masking changed none of {self.crops} crops."
        share, grey = 100 * self.share / self.changed, self.grey / self.changed
        return (
            f"Masking changed {self.changed} of {self.crops} crops, by {share:.1f} % of their pixels in the mean "
            f"({100 * self.most:.0f} % at most) and {grey:.1f} grey levels of their mean: live, the model sees what is "
            "black here."
        )


@dataclass(slots=True)
class Door:
    """An open door; ``reads`` is whether words are looked for."""

    reads: bool
    _to: IO[bytes]
    _back: IO[bytes]
    changes: Changes = field(default_factory=Changes)

    def masked(self, pixels: Pixels, kind: Kind) -> Pixels | Outcome:
        """Return a picture uint8 (H, W, 3) RGB as it may be written, or why it may not."""
        height, width = pixels.shape[:2]
        try:
            self._to.write(json.dumps({"kind": kind, "width": width, "height": height}).encode() + b"\n")
            self._to.write(np.ascontiguousarray(pixels).tobytes())
            self._to.flush()
        except OSError as error:
            raise _gone() from error
        outcome = answer_of(self._back)
        if outcome != "masked":
            return "no_image" if outcome == "no_image" else "residue"
        data = self._back.read(width * height * 3)
        if len(data) < width * height * 3:
            raise _gone()
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)


@contextmanager
def open_door(reads: bool) -> Iterator[Door]:
    """Start the app's process and end it; ``reads``: look for words too, about a second a picture.

    Raises
    ------
    UsageError
        The process cannot be started, or its reader is not installed.
    """
    command = [sys.executable, "-m", "edge_app.redacting", *([] if reads else ["--without-ocr"])]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise UsageError(WHAT, f"the app cannot be started ({error.strerror})", "install it anew") from error
    try:
        if process.stdin is None or process.stdout is None:
            raise _gone()
        answer_of(process.stdout)
        yield Door(reads, process.stdin, process.stdout)
    finally:
        _end(process)


def answer_of(back: IO[bytes]) -> str:
    """Read one line of the app's process; raises ``UsageError`` where it says that it failed, or is gone."""
    try:
        answer = json.loads(back.readline())
        outcome, sentence = str(answer["outcome"]), answer.get("sentence")
    except (ValueError, KeyError, TypeError) as error:
        raise _gone() from error
    if outcome == "failed":
        raise UsageError(*(str(part) for part in sentence))
    return outcome


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue  # it died before it read all: what it had to say was said
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _gone() -> UsageError:
    return UsageError(WHAT, "the app's process ended", "run 'echogfr doctor' and repair what it names")
