"""What a phantom stream shows: read from ``phantom:look=ge,size=1280x960,seed=1,egfr=45,fps=30``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import get_args

from edge_app.capture.base import SourceError
from edge_app.capture.phantom.layout import LOOKS, LookName
from edge_app.capture.phantom.patient import Side

SCHEME = "phantom:"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One examination, seconds: scan, freeze and measure, hold; then again. ``measure_s`` = 0: never frozen."""

    live_s: float = 4.0
    measure_s: float = 1.5
    hold_s: float = 4.0

    @property
    def period_s(self) -> float:
        """Length of one cycle, seconds."""
        return self.live_s + self.measure_s + self.hold_s


@dataclass(frozen=True, slots=True)
class PhantomPlan:
    """A phantom stream. ``egfr`` and ``side`` None: drawn from the seed; ``frames`` None: endless.

    ``realtime`` False: frames come as fast as they are read, none is left out.
    """

    look: LookName = "ge"
    size: tuple[int, int] = (1280, 960)
    seed: int = 1
    egfr: float | None = None
    side: Side | None = None
    fps: float = 30.0
    cycle: Cycle = field(default_factory=Cycle)
    frames: int | None = None
    realtime: bool = True


def parse_plan(uri: str, *, realtime: bool = True) -> PhantomPlan:
    """Read a ``phantom:`` address.

    Options, all optional, separated by commas: ``look=ge|philips|canon|sonosite|mindray|voluson``,
    ``size=WIDTHxHEIGHT``, ``seed=``, ``egfr=`` (mL/min/1.73 m2, 2..170), ``side=left|right``,
    ``fps=`` (1..120), ``frames=``, ``cycle=LIVE/MEASURE/HOLD`` in seconds or ``cycle=live``.

    Raises
    ------
    SourceError
        An option is unknown or its value cannot be used.
    """
    plan = PhantomPlan(realtime=realtime)
    for item in filter(None, uri.removeprefix(SCHEME).split(",")):
        key, _, value = item.partition("=")
        plan = _with(plan, key.strip(), value.strip())
    return plan


def _with(plan: PhantomPlan, key: str, value: str) -> PhantomPlan:
    if key not in _READERS:
        raise _refusal(f"'{key}' is none of its options", f"use {', '.join(_READERS)}")
    try:
        return _READERS[key](plan, value)
    except ValueError as error:
        raise _refusal(f"'{value}' is no {key}", str(error)) from error


def _look(plan: PhantomPlan, value: str) -> PhantomPlan:
    if value not in LOOKS:
        raise ValueError(f"use {', '.join(LOOKS)}")
    return replace(plan, look=value)


def _size(plan: PhantomPlan, value: str) -> PhantomPlan:
    cure = "use WIDTHxHEIGHT, at least 640x480, at most 3840x2160 and not taller than 3:4"
    try:
        width, height = (int(part) for part in value.lower().split("x"))
    except ValueError:
        raise ValueError(cure) from None
    if not (640 <= width <= 3840 and 480 <= height <= 2160 and width * 3 >= height * 4):
        raise ValueError(cure)
    return replace(plan, size=(width, height))


def _side(plan: PhantomPlan, value: str) -> PhantomPlan:
    for side in get_args(Side):
        if value == side:
            return replace(plan, side=side)
    raise ValueError("use left or right")


def _cycle(plan: PhantomPlan, value: str) -> PhantomPlan:
    if value == "live":
        return replace(plan, cycle=Cycle(3600.0, 0.0, 0.0))
    parts = value.split("/")
    if len(parts) != 3:
        raise ValueError("use LIVE/MEASURE/HOLD in seconds, or live")
    live, measure, hold = (_number(part, (0.5, 3600.0)) for part in parts)
    return replace(plan, cycle=Cycle(live, measure, hold))


def _number(value: str, limits: tuple[float, float]) -> float:
    cure = f"use a number from {limits[0]:g} to {limits[1]:g}"
    try:
        number = float(value)
    except ValueError:
        raise ValueError(cure) from None
    if not (isfinite(number) and limits[0] <= number <= limits[1]):
        raise ValueError(cure)
    return number


def _whole(value: str, limits: tuple[int, int]) -> int:
    if not value.isdecimal() or not limits[0] <= int(value) <= limits[1]:
        raise ValueError(f"use a whole number from {limits[0]} to {limits[1]}")
    return int(value)


def _refusal(because: str, cure: str) -> SourceError:
    return SourceError("The phantom cannot be opened", because, cure)


_READERS: dict[str, Callable[[PhantomPlan, str], PhantomPlan]] = {
    "look": _look,
    "size": _size,
    "side": _side,
    "cycle": _cycle,
    "seed": lambda plan, value: replace(plan, seed=_whole(value, (0, 2**31 - 1))),
    "egfr": lambda plan, value: replace(plan, egfr=_number(value, (2.0, 170.0))),
    "fps": lambda plan, value: replace(plan, fps=_number(value, (1.0, 120.0))),
    "frames": lambda plan, value: replace(plan, frames=_whole(value, (1, 10**7))),
}
