"""Rotation: while the picture is live one member a frame takes its turn, so that a reading costs one M-th."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Literal

import numpy as np

from edge_app.live.fusion import Ends, same_poles
from engines.bundle import Bundle, load_golden
from engines.errors import UsageError
from engines.reading import Reading
from engines.session import Session, members_apart

Rotate = Literal["auto", "on", "off"]
SLOW_MS = 250.0  # a whole bag faster than that gives four readings a second: nothing is gained by turns
CHECK_MS = 10000.0  # so long the domain check of one whole reading stands for the same view
CHECK_TURNS = 2  # of each member, before it is made anew: else a slow bag would do little but check
OLDEST_MS = 30000.0  # whatever the turns
TIMED_RUNS = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether members take turns, and why; ``reason`` is empty where the model gives no choice."""

    rotates: bool
    reason: str


@dataclass(frozen=True, slots=True)
class View:
    """What is in front of the model: two readings of one view may be joined."""

    t_ms: float
    frozen: bool
    ends: Ends


class Rotation:
    """Says whose turn it is. A view is first read by the whole bag, and so is every frozen one.

    That whole reading is the domain check by features, which needs those of all members; it is made anew after
    ``CHECK_MS`` or, where that is later, after ``CHECK_TURNS`` of each member, but not later than ``OLDEST_MS``; when
    the view changes; and after a picture that was out of domain.
    """

    def __init__(self, members: int) -> None:
        self._members = members
        self._turns = 0  # since the last whole reading
        self._checked: tuple[View, Reading] | None = None

    def forget(self) -> None:
        """Begin anew: the operator's poles have changed."""
        self._checked = None

    def turn(self, view: View) -> tuple[int, Reading] | None:
        """Return the member whose turn it is and the whole reading that vouches for the view; None: all of them."""
        if self._checked is None or view.frozen or not self._stands(*self._checked, view):
            return None
        return self._turns % self._members, self._checked[1]

    def took(self, view: View, reading: Reading) -> None:
        """Note a reading that was made."""
        if reading.whole:
            self._checked = view, reading
            self._turns = 0
        else:
            self._turns += 1

    def _stands(self, then: View, reading: Reading, view: View) -> bool:
        if then.frozen != view.frozen or not same_poles(view.ends, then.ends) or not reading.in_domain:
            return False
        owed = self._turns < CHECK_TURNS * self._members
        return 0.0 <= view.t_ms - then.t_ms <= (OLDEST_MS if owed else CHECK_MS)


def decide(asked: Rotate, bundle: Bundle, session: Session, clock: Callable[[], float] = perf_counter) -> Decision:
    """Decide whether members take turns; ``auto`` times the whole bag of an entered and warm session.

    Raises
    ------
    UsageError
        It was asked for, and the session can only run all members at once.
    InferenceError
        The session failed.
    """
    apart = members_apart(session)
    if apart < 2:
        if asked == "on":
            name = bundle.manifest.bundle_id
            because = f"{session.info.runtime} runs the members of {name} at once, as one artifact"
            raise UsageError(
                "The members cannot take turns", because, "leave rotate at auto or convert them separately"
            )
        return Decision(False, "")
    if asked != "auto":
        off = Decision(False, "all members read each frame: turns are off")
        return Decision(True, "members take turns while live: asked for") if asked == "on" else off
    took_ms = _took_ms(bundle, session, clock)
    rotates = took_ms > SLOW_MS
    said = "members take turns while live" if rotates else "all members read each frame"
    return Decision(rotates, f"{said}: all {apart} took {took_ms:.0f} ms, the limit is {SLOW_MS:.0f} ms")


def _took_ms(bundle: Bundle, session: Session, clock: Callable[[], float]) -> float:
    crop = np.ascontiguousarray(load_golden(bundle).crops[:1])
    times = []
    for _ in range(TIMED_RUNS):
        start = clock()
        session.infer(crop)
        times.append((clock() - start) * 1000)
        if times[0] > TIMED_RUNS * SLOW_MS:
            break  # no doubt, and each run is long
    return median(times)
