"""One screen from one seed: image, surroundings, decoys, markers and damage, with the exact truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin

import cv2
import numpy as np

from . import donors
from .chrome import Theme, draw_theme, paint_surroundings, ruler
from .damage import DAMAGES, HARDER, WIDEST, apply, draw_damage, resize
from .decoys import DECOYS, Scenery
from .donors import Donor
from .draw import Mask, Picture, Point, Rng, Type, between, toss
from .marks import (
    GREEN,
    LOOK_NAMES,
    WHITE,
    Drawn,
    Edge,
    Glyph,
    Look,
    Shape,
    draw_glyph,
    draw_line,
    draw_pair,
    look_named,
)

SIZES = ((640, 480), (800, 600), (960, 720), (1024, 768), (1280, 960), (1280, 1024), (1280, 720), (1920, 1080))
BACKGROUNDS = (
    *("phantom", "phantom", "phantom", "phantom", "real", "real", "real-screen"),
    *("linear", "phased", "trapezoid", "convex", "dual", "cut"),
)
HARDER_BACKGROUNDS = ("phantom", "phantom", "real", "real", "real-screen", "convex", "trace", "inset")
LEVELS = ("plain", "plain", "plain", "dark", "bright", "tinted")
# Without a finished pair: nothing at all, one marker, a live cursor, a line without ends, half a measurement.
EMPTY = ("nothing", "nothing", "nothing", "single", "cursor", "line", "half")
CUT_OFF = "cut-off"  # harder: a finished pair of which the picture shows one marker only
SMALLEST_SPAN, SMALLEST_DAMAGED = 6.5, 9.0  # of a marker in the final picture, pixels; less is not asked for
LEAST_CONTRAST = 50.0  # grey values between a marker and what is around it


@dataclass(frozen=True)
class Pair:
    """A finished measurement; the kidney's length is the first of a screen's pairs."""

    first: Point
    second: Point
    shape: Shape


@dataclass(frozen=True, eq=False)
class Screen:
    """A composed screen. ``pixels`` RGB (H, W, 3); ``mask`` where the image is (both of a dual screen)."""

    seed: int
    pixels: Picture
    mask: Mask
    pairs: tuple[Pair, ...]
    case: str  # "calipers", one of EMPTY, or CUT_OFF
    look: str
    background: str
    level: str
    damage: str
    damages: tuple[str, ...]
    decoys: tuple[str, ...]
    span: float  # of a marker, pixels
    jpeg: bytes | None = None


@dataclass(frozen=True)
class Recipe:
    """What a seed asks for; every look, background and damage comes equally often."""

    case: str
    look: str
    background: str
    level: str
    damage: str


def recipe(seed: int, harder: bool = False) -> Recipe:
    """Return what to compose: two of three seeds with calipers; ``harder``: with what other hands do to pictures."""
    with_pair = seed % 3 != 2
    number = seed // 3 * 2 + seed % 3 if with_pair else seed // 3
    block, place = divmod(number, len(LOOK_NAMES))
    rng = np.random.default_rng([20, block, int(with_pair)])

    def pick(names: Sequence[str]) -> str:
        order = rng.permutation(len(names))
        return str(names[order[place % len(names)]])

    background, level = pick(HARDER_BACKGROUNDS if harder else BACKGROUNDS), pick(LEVELS)
    damage = pick(HARDER if harder else DAMAGES)
    if background.startswith("real") and not donors.real_available():
        background = "phantom"
    empty = (*EMPTY, CUT_OFF, CUT_OFF) if harder else EMPTY
    case = "calipers" if with_pair else empty[number % len(empty)]
    return Recipe(case, LOOK_NAMES[place], background, level, damage)


def compose(seed: int, harder: bool = False) -> Screen:
    """Return the screen of a seed; the same seed gives the same screen."""
    plan, rng = recipe(seed, harder), np.random.default_rng([21, seed])
    stage = _stage(plan, rng)
    look = look_named(plan.look, rng)
    glyph = draw_glyph(look, stage.theme.unit, rng)
    ends = _plan_pairs(stage, glyph, rng)
    if plan.case == "calipers" and not ends:
        raise RuntimeError(f"seed {seed}: no room for a pair")
    keep_off = tuple(p for pair in ends for p in pair)
    glyph = _visible(stage.pixels, keep_off, glyph)
    scenery = Scenery(stage.pixels, stage.mask, stage.theme, look, glyph, keep_off, rng)
    decoys = _draw_decoys(scenery, plan, rng)
    drawn: list[Drawn] = []
    cut = _one_marker_box(stage.mask.shape, ends[0], glyph, rng) if plan.case == CUT_OFF and ends else None
    if cut is not None:
        draw_pair(stage.pixels, ends[0], look, glyph, stage.theme.unit, rng)
    elif plan.case == "calipers":
        drawn = _draw_pairs(stage.pixels, ends, look, glyph, stage.theme.unit, rng)
    elif ends:
        _draw_unfinished(plan.case, stage.pixels, ends[0], look, glyph, stage.theme.unit, rng)
    pairs = tuple(Pair(d.first, d.second, d.shape) for d in drawn)
    if cut is None and not stage.whole and toss(rng, 0.2):
        cut = _still_box(stage, pairs, glyph, rng)
    return _finish(seed, plan, stage, pairs, decoys, glyph, cut, rng)


@dataclass(frozen=True, eq=False)
class _Stage:
    """A screen before anything is measured on it."""

    pixels: Picture
    mask: Mask
    theme: Theme
    home: Mask  # the one image that is measured
    poles: tuple[Point, Point] | None
    whole: bool  # a real machine's whole screen


def _stage(plan: Recipe, rng: Rng) -> _Stage:
    if plan.background == "real-screen":
        donor = donors.real(rng)
        if donor.screen is None:
            raise RuntimeError("a real donor has its screen")
        theme = replace(draw_theme(rng, donor.screen.shape[0]), back=(0, 0, 0), words=(215, 215, 215))
        return _Stage(donor.screen.copy(), donor.mask, theme, donor.mask, None, True)
    size = SIZES[rng.integers(len(SIZES))]
    theme = draw_theme(rng, size[1])
    grey = np.zeros((size[1], size[0]), np.uint8)
    mask = np.zeros((size[1], size[0]), np.bool_)
    home, poles = mask, None
    for area in _areas(plan.background, size, rng):
        before = mask.copy()
        poles = _lay(_donor(plan.background, rng), area, plan.background == "cut", grey, mask, rng)
        home = mask & ~before
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    pixels[:] = theme.back
    pixels[mask] = _levels(grey, plan.level, rng)[mask]
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    _surround(pixels, ~near, mask, theme, rng)
    if plan.background == "trace":
        _trace(pixels, mask, rng)
    return _Stage(pixels, mask, theme, home, poles, False)


def _surround(pixels: Picture, free: Mask, mask: Mask, theme: Theme, rng: Rng) -> None:
    if theme.back != (0, 0, 0) and toss(rng, 0.6):  # the image on a black field of its own
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        field = np.zeros_like(mask)
        field[max(0, rows[0] - 12) : rows[-1] + 12, max(0, columns[0] - 40) : columns[-1] + 40] = True
        pixels[field & ~mask] = 0
    paint_surroundings(pixels, free, theme, rng)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    right = min(pixels.shape[1] - 30, int(columns[-1]) + round(between(rng, 4, 26) * theme.unit))
    if toss(rng, 0.85):
        side = right if toss(rng, 0.75) else max(2, int(columns[0]) - round(26 * theme.unit))
        ruler(pixels, side, (int(rows[0]), int(rows[-1])), theme, rng)


def _trace(pixels: Picture, mask: Mask, rng: Rng) -> None:
    """Draw a Doppler trace below the image, in place."""
    below, (height, width) = int(np.flatnonzero(mask.any(axis=1))[-1]) + 16, pixels.shape[:2]
    left, right, base = round(0.12 * width), round(0.86 * width), round(0.93 * height)
    if base - below < 40:
        return
    for x in range(left, right):
        beat = (x - left) / (0.16 * width) % 1.0
        tall = (base - below) * (0.25 + 0.6 * float(np.exp(-((beat - 0.2) ** 2) / 0.02))) * between(rng, 0.85, 1.0)
        part = pixels[round(base - tall) : base, x]
        part[:] = np.clip(rng.normal(120, 40, (len(part), 1)), 0, 255).astype(np.uint8)
    cv2.line(pixels, (left, base), (right, base), (0, 200, 90), 1)


def _donor(background: str, rng: Rng) -> Donor:
    kinds: dict[str, Callable[[], Donor]] = {
        "real": lambda: donors.cut_out(donors.real(rng), rng),
        "linear": lambda: donors.speckle(rng, "linear"),
        "phased": lambda: donors.speckle(rng, "phased"),
        "trapezoid": lambda: donors.speckle(rng, "trapezoid"),
        "convex": lambda: donors.speckle(rng, "convex"),
    }
    return kinds.get(background, lambda: donors.phantom(rng))()


def _areas(background: str, size: tuple[int, int], rng: Rng) -> list[tuple[float, float, float, float]]:
    """Return the room for each image: x0, y0, x1, y1."""
    width, height = size
    inner = min(width, height * 4 / 3)
    left = (width - inner) * between(rng, 0.2, 0.8)
    x0, x1 = left + between(rng, 0.02, 0.13) * inner, left + between(rng, 0.85, 0.92) * inner
    y0, y1 = between(rng, 0.09, 0.15) * height, between(rng, 0.86, 0.97) * height
    if background == "trace":
        return [(x0 + 0.2 * (x1 - x0), y0, x0 + 0.8 * (x1 - x0), y0 + 0.58 * (y1 - y0))]
    if background == "inset":
        return [(x0, y0, x0 + 0.6 * (x1 - x0), y0 + 0.6 * (y1 - y0))]
    if background == "dual":
        middle = (x0 + x1) / 2
        return [(x0, y0, middle - 4, y1), (middle + 4, y0, x1, y1)]
    return [(x0, y0, x1, y1)]


def _lay(
    donor: Donor, area: tuple[float, float, float, float], cut: bool, grey: Picture, mask: Mask, rng: Rng
) -> tuple[Point, Point] | None:
    """Lay a donor into its area, in place; return the kidney's poles if both are on the screen."""
    x0, y0, x1, y1 = area
    factor = min((x1 - x0) / donor.grey.shape[1], (y1 - y0) / donor.grey.shape[0])
    image = donor.scaled(factor * (between(rng, 1.2, 1.55) if cut else 1.0))
    h, w = image.grey.shape
    height, width = grey.shape
    left = round((x0 + x1 - w) / 2 + (between(rng, -0.35, 0.35) * w if cut else 0.0))
    top = round(y0 + (0.0 if cut else (y1 - y0 - h) * between(rng, 0.0, 0.4)))
    a, b, c, d = max(0, left), max(0, top), min(width, left + w), min(height, top + h)
    part = np.s_[b - top : d - top, a - left : c - left]
    inside = image.mask[part]
    grey[b:d, a:c][inside] = image.grey[part][inside]
    mask[b:d, a:c] |= inside
    if image.poles is None:
        return None
    moved = [(x + left, y + top) for x, y in image.poles]
    return (moved[0], moved[1]) if all(0 <= x < width and 0 <= y < height for x, y in moved) else None


def _levels(grey: Picture, level: str, rng: Rng) -> Picture:
    """Return RGB: gain, saturation or tint as an operator may have them."""
    values = grey.astype(np.float32)
    if level == "dark":
        values *= between(rng, 0.12, 0.4)
    elif level == "bright":
        values *= between(rng, 1.2, 1.7)
    values = np.clip(values, 0, 255)[..., None].repeat(3, axis=2)
    if level == "tinted":
        tints = ((1.0, 0.86, 0.62), (0.72, 0.86, 1.0), (1.0, 0.93, 0.8), (0.85, 1.0, 0.9))
        values *= np.array(tints[rng.integers(4)], np.float32)
    return np.asarray(np.round(values), dtype=np.uint8)


def _plan_pairs(stage: _Stage, glyph: Glyph, rng: Rng) -> list[tuple[Point, Point]]:
    """Choose the kidney's length, and now and then width and thickness."""
    length = _length(stage, glyph, rng)
    if length is None:
        return []
    pairs = [length]
    for share in ((0.35, 0.6), (0.15, 0.3))[: int(rng.choice((0, 0, 0, 0, 1, 1, 2)))]:
        extra = _across(stage, length, between(rng, *share), glyph, rng)
        if extra is not None and all(_apart(p, q) > 3.2 * glyph.reach for a in pairs for p in a for q in extra):
            pairs.append(extra)
    return pairs


def _apart(a: Point, b: Point) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def _on_screen(stage: _Stage, at: Point, room: float) -> bool:
    height, width = stage.mask.shape
    return bool(room <= at[0] < width - room and room <= at[1] < height - room)


def _length(stage: _Stage, glyph: Glyph, rng: Rng) -> tuple[Point, Point] | None:
    room = glyph.reach + 2
    if stage.poles is not None and toss(rng, 0.7):
        shake = 0.01 * _apart(*stage.poles)
        a, b = ((x + rng.normal(0, shake), y + rng.normal(0, shake)) for x, y in stage.poles)
        if _on_screen(stage, a, room) and _on_screen(stage, b, room):
            return (a, b) if toss(rng, 0.5) else (b, a)
    near = max(3, round(10 * stage.theme.unit))
    at_edge = toss(rng, 0.2)
    kernel = np.ones((2 * near + 1, 2 * near + 1), np.uint8)
    wide = cv2.dilate(stage.home.astype(np.uint8), kernel) > 0 if at_edge else stage.home
    ring = wide & ~stage.home if at_edge else stage.home
    rows, columns = np.flatnonzero(stage.home.any(axis=1)), np.flatnonzero(stage.home.any(axis=0))
    long = float(max(rows[-1] - rows[0], columns[-1] - columns[0]))
    points = np.argwhere(ring)
    for _ in range(300):
        y, x = points[rng.integers(len(points))]
        reach, angle = between(rng, 0.25, 0.8) * long, between(rng, 0, 2 * pi)
        a = float(x) + between(rng, -0.5, 0.5), float(y) + between(rng, -0.5, 0.5)
        b = a[0] + reach * cos(angle), a[1] + reach * sin(angle)
        fits = _on_screen(stage, a, room) and _on_screen(stage, b, room) and reach > 8 * glyph.reach
        if fits and wide[int(b[1]), int(b[0])]:
            return a, b
    return None


def _across(
    stage: _Stage, length: tuple[Point, Point], share: float, glyph: Glyph, rng: Rng
) -> tuple[Point, Point] | None:
    (ax, ay), (bx, by) = length
    along, turn = between(rng, 0.3, 0.7), between(rng, -0.25, 0.25)
    half = share * _apart(*length) / 2
    if half < 2.5 * glyph.reach:
        return None
    angle = float(np.arctan2(by - ay, bx - ax)) + pi / 2 + turn
    x, y = ax + (bx - ax) * along, ay + (by - ay) * along
    a, b = (x - half * cos(angle), y - half * sin(angle)), (x + half * cos(angle), y + half * sin(angle))
    room = glyph.reach + 2
    return (a, b) if _on_screen(stage, a, room) and _on_screen(stage, b, room) else None


def _visible(pixels: Picture, ends: tuple[Point, ...], glyph: Glyph) -> Glyph:
    """Return a marker that a person can see there: a grey one that would drown is white, on white with an outline."""
    if max(glyph.colour) - min(glyph.colour) > 40 or not ends:
        return glyph
    reach = round(1.3 * glyph.reach)
    around = []
    for x, y in ends:
        part = pixels[max(0, round(y) - reach) : round(y) + reach + 1, max(0, round(x) - reach) : round(x) + reach + 1]
        around.append(float(part.mean()))
    if glyph.colour[0] - max(around) >= LEAST_CONTRAST:
        return glyph
    edge: Edge = "outline" if 255 - max(around) < LEAST_CONTRAST else glyph.edge
    return replace(glyph, colour=WHITE, edge=edge)


def _draw_decoys(scenery: Scenery, plan: Recipe, rng: Rng) -> tuple[str, ...]:
    names = [n for n in rng.permutation(list(DECOYS))[: int(rng.integers(2, 7))] if n not in ("legend", "cursor")]
    if plan.case != "single" and (scenery.look.legend or toss(rng, 0.25)):
        names.append("legend")
    if plan.case == "cursor" or toss(rng, 0.12):
        names.append("cursor")
    return tuple(str(name) for name in names if DECOYS[name](scenery))


def _draw_pairs(
    pixels: Picture, ends: list[tuple[Point, Point]], look: Look, glyph: Glyph, unit: float, rng: Rng
) -> list[Drawn]:
    out = []
    for number, pair in enumerate(ends, 1):
        last = number == len(ends)
        style = look if last else replace(look, active="none")
        mark = replace(glyph, shape=look.second_shape) if number == 2 and look.second_shape else glyph
        out.append(draw_pair(pixels, pair, style, mark, unit, rng, number))
    return out


def _draw_unfinished(
    case: str, pixels: Picture, ends: tuple[Point, Point], look: Look, glyph: Glyph, unit: float, rng: Rng
) -> None:
    """Draw one marker, a line without markers, or a first marker with the line to a live cursor of another kind."""
    first, second = glyph.aligned(ends[0]), glyph.aligned(ends[1])
    if case == "single":
        glyph.draw(pixels, first)
    elif case == "line":
        style = look if look.line != "none" else replace(look, line="dots")
        draw_line(pixels, (first, second), style, glyph, unit, glyph.colour, rng)
    elif case == "half":
        draw_line(pixels, (first, second), replace(look, line="dots"), glyph, unit, glyph.colour, rng)
        glyph.draw(pixels, first)
        tip = np.array(second)
        arrow = np.array([(0, 0), (0, 14), (4, 11), (9, 10)], np.float64) * unit + tip
        cv2.fillPoly(pixels, [np.round(arrow).astype(np.int32)], GREEN, cv2.LINE_AA)


def _still_box(stage: _Stage, pairs: tuple[Pair, ...], glyph: Glyph, rng: Rng) -> tuple[int, int, int, int] | None:
    """Choose the part of a screen that a published still shows: around the markers, seldom with any surroundings."""
    height, width = stage.mask.shape
    rows, columns = np.flatnonzero(stage.mask.any(axis=1)), np.flatnonzero(stage.mask.any(axis=0))
    if pairs:
        (ax, ay), (bx, by) = pairs[0].first, pairs[0].second
        x, y, side = (ax + bx) / 2, (ay + by) / 2, hypot(bx - ax, by - ay) * between(rng, 1.05, 1.7)
    else:
        x, y = between(rng, columns[0], columns[-1]), between(rng, rows[0], rows[-1])
        side = between(rng, 0.4, 0.8) * len(rows)
    wide = side * between(rng, 1.0, 1.35)
    points = [p for pair in pairs for p in (pair.first, pair.second)]
    room = glyph.reach + 2
    x0 = min([x - wide / 2, *(p[0] - room for p in points)])
    x1 = max([x + wide / 2, *(p[0] + room for p in points)])
    y0 = min([y - side / 2, *(p[1] - room for p in points)])
    y1 = max([y + side / 2, *(p[1] + room for p in points)])
    box = max(0, int(x0)), max(0, int(y0)), min(width, int(x1) + 1), min(height, int(y1) + 1)
    return box if box[2] - box[0] > 120 and box[3] - box[1] > 120 else None


def _one_marker_box(
    shape: tuple[int, ...], ends: tuple[Point, Point], glyph: Glyph, rng: Rng
) -> tuple[int, int, int, int] | None:
    """Choose a part of the screen that shows the first marker and most of the line, but not the second."""
    (ax, ay), (bx, by) = ends
    share, (height, width) = between(rng, 0.5, 0.85), shape
    box = [0, 0, width, height]
    side = (2 if bx > ax else 0) if abs(bx - ax) >= abs(by - ay) else (3 if by > ay else 1)
    box[side] = round((ax, ay)[side % 2] * (1 - share) + (bx, by)[side % 2] * share)
    clear = (1 - share) * max(abs(bx - ax), abs(by - ay)) > glyph.reach + 2
    return (box[0], box[1], box[2], box[3]) if clear and box[2] - box[0] > 150 and box[3] - box[1] > 150 else None


def _finish(
    seed: int,
    plan: Recipe,
    stage: _Stage,
    pairs: tuple[Pair, ...],
    decoys: tuple[str, ...],
    glyph: Glyph,
    cut: tuple[int, int, int, int] | None,
    rng: Rng,
) -> Screen:
    """Cut, scale, damage; points go along."""
    damage = draw_damage(plan.damage, rng)
    x0, y0, x1, y1 = cut or (0, 0, stage.mask.shape[1], stage.mask.shape[0])
    pixels, mask = stage.pixels[y0:y1, x0:x1], stage.mask[y0:y1, x0:x1]
    width, height = x1 - x0, y1 - y0
    factor = damage.scale
    if cut:
        factor = between(rng, 224, 600) / max(width, height)
    span = 2.0 * max(glyph.arms) + 1
    least = SMALLEST_DAMAGED if plan.damage == "all" else SMALLEST_SPAN
    factor = max(min(factor, WIDEST / width), least / span, 130 / min(width, height))
    size = (width, height) if abs(factor - 1) < 0.02 else (round(width * factor), round(height * factor))
    fx, fy = size[0] / width, size[1] / height
    if size != (width, height):
        how = damage.how if fx >= 1 or damage.scale < 1 else cv2.INTER_AREA
        pixels, mask = resize(pixels, size, how), cv2.resize(mask.astype(np.uint8), size, interpolation=0) > 0
    left = top = 0
    if (
        plan.damage not in HARDER
        and not cut
        and size[0] / size[1] < 1.4
        and size[1] * 16 // 9 <= WIDEST
        and toss(rng, 0.15)
    ):
        left = (size[1] * 16 // 9 - size[0]) // 2
        pixels = np.pad(pixels, ((0, 0), (left, left), (0, 0)))
        mask = np.pad(mask, ((0, 0), (left, left)))
    if plan.damage == "figure":  # a panel of a printed page: white margin, a letter in the corner
        top, left = int(rng.integers(4, 28)), int(rng.integers(4, 28))
        pixels = np.pad(pixels, ((top, top), (left, left), (0, 0)), constant_values=255)
        mask = np.pad(mask, ((top, top), (left, left)))
        Type(14, (255, 255, 255), weight=2).words(pixels, "ABCD"[rng.integers(4)], (left + 5, top + 5))
    pixels, jpeg = apply(np.ascontiguousarray(pixels), damage, rng)
    mask = mask[: pixels.shape[0], : pixels.shape[1]]

    def moved(p: Point) -> Point:
        return (p[0] - x0 + 0.5) * fx - 0.5 + left, (p[1] - y0 + 0.5) * fy - 0.5 + top

    marks = tuple(Pair(moved(p.first), moved(p.second), p.shape) for p in pairs)
    names = (*damage.names, *(("still",) if cut else ()), *(("pillarbox",) if left and not top else ()))
    return Screen(
        seed=seed,
        pixels=pixels,
        mask=np.ascontiguousarray(mask),
        pairs=marks,
        case=plan.case,
        look=plan.look,
        background="still" if cut else plan.background,
        level=plan.level,
        damage=plan.damage,
        damages=names,
        decoys=decoys,
        span=span * fx,
        jpeg=jpeg,
    )
