"""What happens between the scanner's memory and the frame: scaling, lost chroma, levels, blur, noise, compression."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .draw import Picture, Rng, between, toss

DAMAGES = ("none", "jpeg", "chroma-420", "chroma-422", "limited", "down", "up", "blur", "noise", "mpeg4", "all")
# Of pictures that went through other hands: journals, messengers, scalers of old.
HARDER = ("grey", "sharpened", "nearest", "interlaced", "jpeg-twice", "gamma", "figure", "palette")
WIDEST = 1920


@dataclass(frozen=True)
class Damage:
    """What is done, in this order; ``scale`` 1, ``blur`` 0 and so on: nothing."""

    scale: float = 1.0
    how: int = cv2.INTER_LINEAR
    limited: bool = False
    blur: float = 0.0
    noise: float = 0.0
    chroma: int = 444
    jpeg: int = 0
    mpeg4: bool = False
    hands: str = ""  # one of HARDER

    @property
    def names(self) -> tuple[str, ...]:
        """What was done, in words."""
        said = (
            (self.scale != 1.0, f"x{self.scale:.2f}"),
            (self.limited, "limited"),
            (self.blur > 0, f"blur{self.blur:.2f}"),
            (self.noise > 0, f"noise{self.noise:.1f}"),
            (self.chroma != 444, f"chroma{self.chroma}"),
            (self.jpeg > 0, f"jpeg{self.jpeg}"),
            (self.mpeg4, "mpeg4"),
            (bool(self.hands), self.hands),
        )
        return tuple(name for done, name in said if done)


def draw_damage(kind: str, rng: Rng) -> Damage:
    """Choose how much of a kind of damage; one in three has a mild JPEG on top."""
    mild = int(rng.integers(85, 96)) if toss(rng, 0.33) else 0
    down, up = between(rng, 0.67, 0.95), between(rng, 1.1, 2.0)
    area, smooth = (cv2.INTER_AREA, cv2.INTER_LINEAR), (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    pick = int(rng.integers(2))
    if kind == "all":
        grow = toss(rng, 0.5)
        return Damage(
            up if grow else down,
            smooth[pick] if grow else area[pick],
            toss(rng, 0.5),
            between(rng, 0.0, 0.5),
            between(rng, 0.0, 2.5),
            420 if toss(rng, 0.6) else 422,
            int(rng.integers(65, 93)),
        )
    if kind in HARDER:
        how = cv2.INTER_NEAREST if kind == "nearest" else area[pick]
        scale = between(rng, 1.2, 1.9) if kind == "nearest" else down if toss(rng, 0.4) else 1.0
        return Damage(scale, how, jpeg=int(rng.integers(75, 96)) if toss(rng, 0.6) else 0, hands=kind)
    return {
        "none": Damage(),
        "jpeg": Damage(jpeg=int(rng.integers(60, 96))),
        "chroma-420": Damage(chroma=420, jpeg=mild),
        "chroma-422": Damage(chroma=422, jpeg=mild),
        "limited": Damage(limited=True, jpeg=mild),
        "down": Damage(down, area[pick], jpeg=mild),
        "up": Damage(up, smooth[pick], jpeg=mild),
        "blur": Damage(blur=between(rng, 0.45, 0.9), jpeg=mild),
        "noise": Damage(noise=between(rng, 1.5, 5.0), jpeg=mild),
        "mpeg4": Damage(mpeg4=True),
    }[kind]


def apply(pixels: Picture, damage: Damage, rng: Rng) -> tuple[Picture, bytes | None]:
    """Return the damaged picture, without its scaling (see ``resize``), and the JPEG file if it became one."""
    if damage.limited:
        pixels = np.round(16.0 + pixels.astype(np.float32) * (219.0 / 255.0)).astype(np.uint8)
    if damage.hands:
        pixels = _through(pixels, damage.hands, rng)
    if damage.blur:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), damage.blur), dtype=np.uint8)
    if damage.noise:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32) * damage.noise
        pixels = np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)
    if damage.chroma != 444:
        pixels = _less_chroma(pixels, damage.chroma)
    if damage.mpeg4:
        pixels = _video(pixels)
    if damage.jpeg:
        return _jpeg(pixels, damage.jpeg, toss(rng, 0.7))
    return pixels, None


def resize(pixels: Picture, size: tuple[int, int], how: int) -> Picture:
    """Return the picture in another size; a point p goes to (p + 0.5) * factor - 0.5."""
    return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=np.uint8)


def _through(pixels: Picture, hands: str, rng: Rng) -> Picture:
    """Return the picture as others left it."""
    values = pixels.astype(np.float32)
    if hands == "grey":
        values = values @ np.array([0.299, 0.587, 0.114], np.float32)
        values = values[..., None].repeat(3, axis=2)
    elif hands == "sharpened":
        values += between(rng, 0.5, 1.2) * (values - cv2.GaussianBlur(values, (0, 0), between(rng, 0.8, 1.6)))
    elif hands == "interlaced":  # one field, its lines interpolated
        field = values[::2]
        between_lines = (field + np.vstack([field[1:], field[-1:]])) / np.float32(2)
        values[1::2] = between_lines[: len(values) // 2]
    elif hands == "gamma":
        values = np.asarray(255.0 * (values / 255.0) ** between(rng, 0.6, 1.5), dtype=np.float32)
    elif hands == "palette":
        step = between(rng, 8, 20)
        values = np.asarray(np.round(values / step) * step, dtype=np.float32)
    elif hands == "jpeg-twice":
        shifted, _ = _jpeg(np.ascontiguousarray(np.roll(pixels, (3, 5), (0, 1))), int(rng.integers(60, 90)), True)
        return np.asarray(np.roll(shifted, (-3, -5), (0, 1)), dtype=np.uint8)
    return np.asarray(np.clip(np.round(values), 0, 255), dtype=np.uint8)


def _less_chroma(pixels: Picture, kind: int) -> Picture:
    height, width = pixels.shape[:2]
    ycc = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    small = ((width + 1) // 2, (height + 1) // 2 if kind == 420 else height)
    for channel in (1, 2):
        half = cv2.resize(ycc[..., channel], small, interpolation=cv2.INTER_AREA)
        ycc[..., channel] = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


def _jpeg(pixels: Picture, quality: int, low_chroma: bool) -> tuple[Picture, bytes]:
    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if low_chroma else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422
    code = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), code)
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if back is None:
        raise OSError("OpenCV cannot read its own JPEG here")
    return np.asarray(cv2.cvtColor(back, cv2.COLOR_BGR2RGB), dtype=np.uint8), data.tobytes()


def _video(pixels: Picture) -> Picture:
    """Return the picture after a few frames of MPEG-4 video; sides are cut to even numbers of pixels."""
    bgr = cv2.cvtColor(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2], cv2.COLOR_RGB2BGR)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "clip.mp4")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (bgr.shape[1], bgr.shape[0]))
        for _ in range(3):
            writer.write(bgr)
        writer.release()
        capture = cv2.VideoCapture(path)
        for _ in range(2):
            capture.grab()
        held, back = capture.read()
        capture.release()
    if not held or back is None:
        raise OSError("OpenCV cannot write and read MPEG-4 here")
    return np.asarray(cv2.cvtColor(back, cv2.COLOR_BGR2RGB), dtype=np.uint8)
