"""Joining: readings by single members, each of its own frame, become what the members said together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from edge_app.live.medians import NORMAL_MAD
from engines.manifest import HeadSpec
from engines.reading import Reading
from engines.values import Regressed, Value, categories, value_from

LEAST = 2  # members: of one alone nobody knows how far the others would lie from it

Said = float | tuple[float, ...]  # what one member said: a number, or the probabilities of its grades


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """One value a head, which members made them, and of how many readings."""

    values: tuple[Value, ...]
    seen: tuple[int, ...]
    readings: int


def seen_in(readings: Sequence[Reading]) -> tuple[int, ...]:
    """Return the members that made these readings, in order."""
    return tuple(sorted({member for reading in readings for member in reading.seen}))


def join_members(readings: Sequence[Reading]) -> Joined:
    """Join the newest answer of each member, without maps.

    The interval is widened for members that were not seen (``engines.values.unseen_margin``), and, as that of
    several whole readings is, by the spread between frames: the median of |answer - median of that member's answers|
    over all members that answered more than once, scaled to a standard deviation.

    Parameters
    ----------
    readings : sequence of Reading
        At least one, of one model, oldest first; whole ones among them count as an answer of each member.
    """
    seen = seen_in(readings)
    newest = {member: at for at, reading in enumerate(readings) for member in reading.seen}
    heads = range(len(readings[-1].values))
    values = tuple(_value(readings, seen, head) for head in heads)
    return Joined(values, seen, len(set(newest.values())))


def _value(readings: Sequence[Reading], seen: tuple[int, ...], at: int) -> Value:
    said = {member: [_said(reading, at, member) for reading in readings if member in reading.seen] for member in seen}
    head: HeadSpec = readings[-1].values[at].head
    members = np.asarray([said[member][-1] for member in seen], dtype=np.float64)
    value = value_from(head, members, None, readings[-1].members_total)
    return (
        _widened(value, _between([_numbers(one) for one in said.values()])) if isinstance(value, Regressed) else value
    )


def _said(reading: Reading, at: int, member: int) -> Said:
    return reading.values[at].members[reading.seen.index(member)]


def _numbers(said: Sequence[Said]) -> list[float]:
    return [one for one in said if isinstance(one, float)]


def _between(said: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation between frames, from members that answered more than once; 0.0 if none did."""
    off = [abs(one - median(answers)) for answers in said if len(answers) > 1 for one in answers]
    return NORMAL_MAD * median(off) if off else 0.0


def _widened(value: Regressed, between: float) -> Regressed:
    if value.low is None or value.high is None:
        return value
    low, lowest = value.low - between, value.head.lowest
    low, high = (low if lowest is None else max(lowest, low)), value.high + between
    return replace(value, low=low, high=high, categories=categories(value.head, low, high))
