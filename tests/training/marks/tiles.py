"""Composes tiles of screens with markers and look-alikes, and harvests from them what the search would ask about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.crossings import Crossing, apart, find_crossings
from edge_app.imaging.glance import likely
from edge_app.imaging.mark_net import MarkNet, Verdict
from edge_app.imaging.patches import Views

from .decoys import decoy
from .draw import Look, Picture, Point, dots, marker, random_colour, random_look, text

PER_REACH = 1.6
"""Arm that is expected where the search saw arms out to one reach."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A marker in a tile; ``worded``: it stands in a line of text."""

    x: float
    y: float
    look: Look
    arm: float
    worded: bool


@dataclass(slots=True)
class Samples:
    """Patches and what they show: ``kind`` 0 nothing, 1 plus, 2 cross; ``aim``: dx, dy in arms, log of arm ratio."""

    near: list[NDArray[np.float16]]
    far: list[NDArray[np.float16]]
    kind: list[int]
    worded: list[int]
    aim: list[tuple[float, float, float]]
    glance: list[NDArray[np.uint8]]
    glanced: list[int]


def grain(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Return smooth noise of one grain, whose specks form crosses by chance."""
    noise = cv2.GaussianBlur(rng.normal(size=size[::-1]).astype(np.float32), (0, 0), rng.uniform(0.9, 3.0))
    slow = cv2.resize(rng.normal(size=(5, 6)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    grey = rng.uniform(25, 190) + rng.uniform(8, 30) * noise / noise.std() + rng.uniform(0, 25) * slow
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def speckle(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Return tissue-like texture, log-compressed, with slow and sharp changes of echo strength."""
    width, height = size
    grain = rng.uniform(0.7, 3.2)
    re, im = (rng.normal(size=(height, width)).astype(np.float32) for _ in range(2))
    sigma = (grain * rng.uniform(0.8, 2.2), grain)
    re, im = (cv2.GaussianBlur(one, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1]) for one in (re, im))
    power = re**2 + im**2
    power /= power.mean()
    slow = np.asarray(cv2.resize(rng.normal(size=(7, 7)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC))
    for _ in range(int(rng.integers(0, 7))):
        shape = np.zeros((height, width), np.float32)
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(4, width // 2)), int(rng.integers(2, height // 3)))
        how = -1 if rng.random() < 0.5 else int(rng.integers(1, 6))
        cv2.ellipse(shape, centre, axes, rng.uniform(0, 180), 0, 360, (1.0,), how, cv2.LINE_AA)
        slow = slow + rng.normal(0, 1.6) * cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.5, 4))
    span = rng.uniform(22, 45)
    grey = rng.uniform(10, 170) + span * 0.5 * np.log(power * np.exp(1.3 * slow) + 1e-3)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def background(rng: np.random.Generator, pictures: list[Picture], size: tuple[int, int]) -> Picture:
    """Return a random part of a random picture at a random scale and gain, or speckle."""
    roll = rng.random()
    if roll < 0.15:
        base = grain(rng, size)
    elif roll < 0.4 or not pictures:
        base = speckle(rng, size)
    else:
        whole = pictures[int(rng.integers(len(pictures)))]
        zoom = float(np.exp(rng.uniform(np.log(0.55), np.log(1.7))))
        zoom = max(zoom, (size[0] + 2) / whole.shape[1], (size[1] + 2) / whole.shape[0])
        want = (int(size[0] / zoom), int(size[1] / zoom))
        x, y = (int(rng.integers(0, m - w + 1)) for m, w in zip(whole.shape[1::-1], want, strict=True))
        part = whole[y : y + want[1], x : x + want[0]]
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        base = np.asarray(cv2.resize(part, size, interpolation=how), np.uint8)
        if rng.random() < 0.5:
            base = base[:, ::-1]
    gain, gamma = rng.uniform(0.6, 1.5), np.exp(rng.uniform(-0.6, 0.5))
    curve = np.clip(255 * gain * (np.arange(256) / 255.0) ** gamma + rng.choice([0, 0, 0, 12]), 0, 255)
    base = np.ascontiguousarray(curve.astype(np.uint8)[base])
    if rng.random() < 0.15:
        tint = np.array([rng.uniform(0.75, 1), rng.uniform(0.8, 1), rng.uniform(0.7, 1)])
        base = (base * tint).astype(np.uint8)
    return base


def compose(rng: np.random.Generator, pictures: list[Picture]) -> tuple[Picture, list[Truth]]:
    """Return a tile and its markers, as a grabber or a publication would show it."""
    side = int(rng.integers(230, 340))
    tile = background(rng, pictures, (side, side))
    if rng.random() < 0.1:
        _flow(tile, rng)
    if rng.random() < 0.25:
        _bordered(tile, rng)
    cells, truths, ends = int(rng.integers(3, 5)), [], []
    common = random_look(rng)
    step = side / cells
    for row in range(cells):
        for column in range(cells):
            at = ((column + rng.uniform(0.25, 0.75)) * step, (row + rng.uniform(0.25, 0.75)) * step)
            roll = rng.random()
            if roll < 0.5:
                look = common if rng.random() < 0.4 else random_look(rng)
                if look.rim in ("outline", "shadow") and rng.random() < 0.18:
                    look = _hidden(tile, at, look, rng)
                if rng.random() < 0.75:
                    at = float(round(at[0])), float(round(at[1]))
                ends.append((at, look))
            elif roll < 0.85:
                decoy(tile, at, rng)
    for at, look in ends:
        _aside(tile, at, look, rng)
    for at, look in ends:
        marker(tile, at, look)
        worded = rng.random() < 0.2
        if worded:
            _legend(tile, at, look, rng)
        if rng.random() < 0.1:
            _crossed(tile, at, rng)
        across, down = (0.0 if look.smooth else 0.5 * ((thick - 1) % 2) for thick in (look.thick, look.thin))
        truths.append(
            Truth(
                at[0] + across,
                at[1] + (down if look.shape == "plus" else 0.0),
                look,
                (look.arm[0] + look.arm[1]) / 2 * (1.0 if look.shape == "plus" else 0.75),
                worded,
            )
        )
    return damage(tile, truths, rng)


def _flow(tile: Picture, rng: np.random.Generator) -> None:
    """Colour some vessels, as colour Doppler does."""
    side = tile.shape[0]
    for _ in range(int(rng.integers(1, 6))):
        vessel = np.zeros(tile.shape[:2], np.uint8)
        at, axes = rng.integers(0, side, 2), rng.integers(6, 60, 2)
        cv2.ellipse(
            vessel, (int(at[0]), int(at[1])), (int(axes[0]), int(axes[1])), rng.uniform(0, 180), 0, 360, (255,), -1
        )
        colours = ((30, 60, 230), (40, 140, 255), (220, 40, 20), (255, 150, 20), (0, 180, 220))
        hue = np.array(colours[int(rng.integers(5))], np.float32)
        level = np.float32(rng.uniform(0.5, 1.0)) + rng.normal(0, rng.choice([0.0, 0.15]), tile.shape[:2]).astype(
            np.float32
        )
        tile[vessel > 0] = np.clip(hue * level[..., None], 0, 255).astype(np.uint8)[vessel > 0]


def _bordered(tile: Picture, rng: np.random.Generator) -> None:
    """Let the image end in the tile: black or the screen's own colour beyond a straight or curved border."""
    side, angle = tile.shape[0], rng.uniform(0, 2 * pi)
    far = side * float(rng.choice([0.7, 1.5, 4.0, 40.0]))
    away = far + side * rng.uniform(-0.15, 0.35)
    centre = round(side / 2 + away * cos(angle)), round(side / 2 + away * sin(angle))
    beyond = np.zeros(tile.shape[:2], np.uint8)
    cv2.circle(beyond, centre, round(far), (255,), -1)
    colours = ((0, 0, 0), (0, 0, 0), (0, 0, 0), (18, 20, 24), (60, 66, 84), (40, 60, 110), (200, 200, 200))
    tile[beyond > 0] = colours[int(rng.integers(len(colours)))]


def _crossed(tile: Picture, at: Point, rng: np.random.Generator) -> None:
    """Draw a line that has nothing to do with a marker through or past it: a box, a needle guide, a trace."""
    angle = float(rng.choice([0.0, pi / 2])) if rng.random() < 0.6 else rng.uniform(0, pi)
    x, y = at[0] + rng.normal(0, 3.0), at[1] + rng.normal(0, 3.0)
    one, other = ((round(x + far * cos(angle)), round(y + far * sin(angle))) for far in (-rng.uniform(8, 300), 300.0))
    if rng.random() < 0.3:
        dots(tile, one, other, replace(random_look(rng), colour=random_colour(rng)), rng)
        return
    how = cv2.LINE_AA if rng.random() < 0.5 else cv2.LINE_8
    cv2.line(tile, one, other, random_colour(rng), int(rng.choice([1, 1, 2])), how)


def _hidden(tile: Picture, at: Point, look: Look, rng: np.random.Generator) -> Look:
    """Return the look in a grey about as bright as the tissue there: its rim is what is seen."""
    x, y = round(at[0]), round(at[1])
    here = float(tile[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9].mean()) + rng.uniform(-12, 30)
    level = int(np.clip(here, 95, 235))
    return replace(look, colour=(level, level, level), opacity=1.0)


def _aside(tile: Picture, at: Point, look: Look, rng: np.random.Generator) -> None:
    """Draw what belongs to a marker: its dotted line, its label."""
    if rng.random() < 0.55:
        angle, far = rng.uniform(0, 2 * pi), rng.uniform(30, 150)
        dots(tile, at, (at[0] + far * cos(angle), at[1] + far * sin(angle)), look, rng)
    if rng.random() < 0.4:
        height = look.arm[0] * rng.uniform(0.9, 2.0)
        away = max(look.arm) * rng.uniform(1.25, 2.0)
        side = rng.choice([-1, 1])
        x = at[0] + side * away - (0.7 * height if side < 0 else 0)
        text(
            tile, str(rng.choice(list("123AB4LD"))), (x, at[1] - height * rng.uniform(0, 1.6)), height, look.colour, rng
        )


def _legend(tile: Picture, at: Point, look: Look, rng: np.random.Generator) -> None:
    """Write a result behind a marker, and now and then lines over and under it."""
    height = look.arm[0] * rng.uniform(1.2, 2.6)
    gap = look.arm[0] * rng.uniform(1.3, 4.5)
    results = (
        "Rt Kidney 9.84 cm",
        "Dist 10.21 cm",
        "8.84 cm",
        "L 9.3cm",
        "0.65cm",
        "Cist Mag 1.06 cm",
        "1: 98.2 mm",
        "Lt 11.02",
    )
    colour = (220, 220, 220) if rng.random() < 0.6 else look.colour
    rows, face = (
        (int(rng.integers(-2, 1)), int(rng.integers(1, 4))) if rng.random() < 0.5 else (0, 1),
        int(rng.integers(1 << 30)),
    )
    for row in range(*rows):
        words = str(rng.choice(list(results)))
        text(
            tile,
            words,
            (at[0] + gap, at[1] - height / 2 + row * 1.9 * height),
            height,
            colour,
            np.random.default_rng(face),
        )


def damage(tile: Picture, truths: list[Truth], rng: np.random.Generator) -> tuple[Picture, list[Truth]]:
    """Return the tile scaled, blurred, compressed or with limited range, and where its markers are then."""
    zoom = 1.0 if rng.random() < 0.35 else float(np.exp(rng.uniform(np.log(0.62), np.log(2.1))))
    if zoom != 1.0:
        size = (round(tile.shape[1] * zoom), round(tile.shape[0] * zoom))
        how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC]))
        fx, fy = size[0] / tile.shape[1], size[1] / tile.shape[0]
        tile = np.asarray(cv2.resize(tile, size, interpolation=how), np.uint8)
        truths = [Truth((t.x + 0.5) * fx - 0.5, (t.y + 0.5) * fy - 0.5, t.look, t.arm * zoom, t.worded) for t in truths]
    if rng.random() < 0.25:
        tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), rng.uniform(0.3, 0.85) * max(1.0, zoom)), np.uint8)
    if rng.random() < 0.15:
        tile = np.clip(16 + tile.astype(np.float32) * 219 / 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        tile = np.clip(tile + rng.normal(0, rng.uniform(1, 5), tile.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.15:  # chroma of a video signal
        ycc = cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb)
        small = cv2.resize(ycc[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        ycc[..., 1:] = cv2.resize(small, ycc.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        tile = np.asarray(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), np.uint8)
    if rng.random() < 0.08:
        return _video(tile), truths
    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.55, 0.1]))):
        code: list[int] = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(38, 96))]
        if rng.random() < 0.6:
            code += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        data = cv2.imencode(".jpg", tile[..., ::-1], code)[1]
        tile = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
    return tile, truths


def _video(tile: Picture) -> Picture:
    """Return the tile as MPEG-4 shows it, a frame or two after the first; an odd last row or column stays as it was."""
    height, width = (side // 2 * 2 for side in tile.shape[:2])
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "tile.mp4")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
        for _ in range(2):
            writer.write(np.ascontiguousarray(tile[:height, :width, ::-1]))
        writer.release()
        capture = cv2.VideoCapture(path)
        capture.grab()
        held, back = capture.read()
        capture.release()
    seen = tile.copy()
    if held and back is not None:
        seen[:height, :width] = back[..., ::-1]
    return seen


def _glances(crossings: list[Crossing], truths: list[Truth], into: Samples, rng: np.random.Generator) -> None:
    """Add the small patches of crossings: of markers at about their size, and of places without any."""
    for c in crossings:
        mark = min(truths, key=lambda t: hypot(t.x - c.x, t.y - c.y), default=None)
        away = np.inf if mark is None else hypot(mark.x - c.x, mark.y - c.y)
        if mark is not None and away < max(1.5, 0.4 * mark.arm) and 0.45 < mark.arm / (PER_REACH * c.reach) < 2.2:
            into.glanced.append(1)
        elif (mark is not None and away < max(3.0, 1.0 * mark.arm)) or rng.random() < 0.6:
            continue
        else:
            into.glanced.append(0)
        into.glance.append(c.patch)


def harvest(rng: np.random.Generator, pictures: list[Picture], into: Samples) -> tuple[int, int]:
    """Add the samples of one tile; return (markers that the search came near, all markers)."""
    tile, truths = compose(rng, pictures)
    rows = int(rng.choice([300, 600, 720, 1080])) if tile.shape[0] < 500 else int(rng.choice([720, 1080]))
    if min((t.arm for t in truths), default=9) < 3.5:
        rows = min(rows, 720)
    found = []
    for kind in ("bright", "dark", "colour"):
        crossings = find_crossings(tile, None, kind, rows)
        _glances(crossings, truths, into, rng)
        found += apart(crossings, 40)
    places: list[tuple[float, float, float]] = [(c.x, c.y, PER_REACH * c.reach) for c in found]
    seen = sum(
        any(hypot(p[0] - t.x, p[1] - t.y) < max(1.5, 0.45 * t.arm) and 0.45 < t.arm / p[2] < 2.2 for p in places)
        for t in truths
    )
    for t in truths:
        for _ in range(2):
            arm = t.arm * np.exp(rng.normal(0, 0.12))
            places.append((t.x + rng.normal(0, 0.12) * t.arm, t.y + rng.normal(0, 0.12) * t.arm, float(arm)))
    _label(tile, truths, places, into)
    return seen, len(truths)


def mine(rng: np.random.Generator, pictures: list[Picture], into: Samples, net: MarkNet) -> None:
    """Add of one tile what the network is wrong or unsure about: looked at as a search does, place after place."""
    tile, truths = compose(rng, pictures)
    rows = int(rng.choice([600, 720, 1080]))
    places: list[tuple[float, float, float]] = []
    for kind in ("bright", "dark", "colour"):
        found = apart(likely(find_crossings(tile, None, kind, rows), net), 60)
        places += [(c.x, c.y, PER_REACH * c.reach) for c in found]
    views = Views(tile)
    for _ in range(3):
        verdicts = net.ask(views, places)
        hard = [p for p, v in zip(places, verdicts, strict=True) if _hard(p, v, truths)]
        _label(tile, truths, hard, into)
        places = [(v.x, v.y, v.arm) for v in verdicts if v.mark >= 0.05]


def _hard(place: tuple[float, float, float], v: Verdict, truths: list[Truth]) -> bool:
    """Whether the verdict is wrong or unsure: a false marker, a marker missed, a text not seen or seen in vain."""
    mark = min(truths, key=lambda t: hypot(t.x - place[0], t.y - place[1]), default=None)
    if mark is None or hypot(mark.x - place[0], mark.y - place[1]) > max(1.5, 0.45 * mark.arm):
        return v.mark > 0.03
    right = v.plus if mark.look.shape == "plus" else v.cross
    return right < 0.98 or abs(v.worded - mark.worded) > 0.3


def _label(tile: Picture, truths: list[Truth], places: list[tuple[float, float, float]], into: Samples) -> None:
    """Add the patches of places, with what is there; places beside a marker say nothing."""
    near, far = Views(tile).patches(places)
    for index, place in enumerate(places):
        mark = min(truths, key=lambda t: hypot(t.x - place[0], t.y - place[1]), default=None)
        away = np.inf if mark is None else hypot(mark.x - place[0], mark.y - place[1])
        if mark is not None and away < max(1.5, 0.45 * mark.arm) and 0.4 < mark.arm / place[2] < 2.5:
            into.kind.append(1 if mark.look.shape == "plus" else 2)
            into.worded.append(int(mark.worded))
            dx, dy = (mark.x - place[0]) / place[2], (mark.y - place[1]) / place[2]
            into.aim.append((dx, dy, float(np.log(mark.arm / place[2]))))
        elif mark is not None and away < max(2.5, 0.8 * mark.arm):
            continue
        else:
            into.kind.append(0)
            into.worded.append(0)
            into.aim.append((0.0, 0.0, 0.0))
        into.near.append(near[index].astype(np.float16))
        into.far.append(far[index].astype(np.float16))
