"""Signal: whether a picture comes from a scanner at all, or is what a grabber shows with nothing connected.

A screen of a scanner that is taken for a grabber's own picture would silence the app; the other way round it is
refused as a screen without ultrasound image. So each rule is narrow, and what it does not know is a signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

SignalFault = Literal["black", "plain", "bars", "sign", "snow"]

WORDS: Final[dict[SignalFault, str]] = {
    "black": "the picture is black",
    "plain": "one colour fills the picture: the grabber has no input",
    "bars": "colour bars: the grabber has no input",
    "sign": "a sign on an empty ground: the grabber shows a picture of its own",
    "snow": "noise alone: the grabber has no input, or may not show it",
}
"""What is seen, for the operator; stands in brackets in the refusal."""


@dataclass(frozen=True, slots=True)
class SignalRules:
    """Grey levels 0..255; shares of the picture 0..1."""

    black: int = 24  # brightest channel: a screen of a scanner has letters far over this
    plain_share: float = 0.85  # in one strong colour, whatever is written on it
    plain_levels: int = 14  # a plain picture's channels vary by less
    grey_share: float = 0.999  # in one grey
    strong: int = 60  # chroma of a strong colour
    bars_share: float = 0.3  # in strong colours
    bar_colours: int = 4  # that are different
    bar_runs: tuple[int, int] = (5, 24)  # stripes
    bar_alike: float = 0.8  # of a stripe in its colour: a box with words may lie over it
    edge: int = 10  # step between neighbours that is drawn, not a gradient
    sign_contrast: float = 60.0  # of a sign to its ground: a very dark ultrasound image has less
    sign_area: tuple[float, float] = (0.005, 0.2)  # of the box around all that is drawn; a small screen has more
    sign_edges: float = 0.02  # of that box in steep steps: an ultrasound image has fewer
    sign_texture: float = 3.0  # small steps for each steep one: speckle has more
    sign_ink: float = 0.55  # of what stands out from the ground, in one grey: an image has many
    ground_noise: float = 0.01  # outside of it
    snow_step: float = 18.0  # mean between neighbours, everywhere
    snow_white: float = 0.6  # of the variance between neighbours that are independent


RULES = SignalRules()
HALO = 9  # pixels: a damaged JPEG block beside a sign
ROWS = 8  # every eighth row is looked at for edges


def signal_fault(pixels: NDArray[np.uint8], rules: SignalRules = RULES) -> SignalFault | None:
    """Return what a grabber shows without a scanner, or None for what may be a scanner's; RGB uint8 (H, W, 3)."""
    small = np.ascontiguousarray(pixels[6::12, 6::12]).astype(np.int16)
    red, green, blue = (small[..., channel] for channel in range(3))
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    if _is_plain(small, rules):
        return "plain"
    coloured = high - low > rules.strong
    if float(coloured.mean()) >= rules.bars_share and _is_bars(small, high, low, coloured, rules):
        return "bars"
    # thin letters fall through a coarse grid: look at every pixel before calling a picture black
    if int(high.max()) < rules.black and int(cv2.norm(pixels, cv2.NORM_INF)) < rules.black + 40:
        return "black"
    steps, grey = _steps(pixels)
    if _is_snow(steps, grey, rules):
        return "snow"
    return "sign" if _is_sign(steps, grey, rules) else None


def has_signal(pixels: NDArray[np.uint8]) -> bool:
    """Return False for a picture that a grabber makes by itself."""
    return signal_fault(pixels) is None


def _is_plain(small: NDArray[np.int16], rules: SignalRules) -> bool:
    """One strong colour nearly everywhere (blue screen), or one grey everywhere."""
    middle = np.median(small[::3, ::3].reshape(-1, 3), axis=0).astype(np.int16)
    away = np.abs(small - middle) > rules.plain_levels
    share = 1.0 - float((away[..., 0] | away[..., 1] | away[..., 2]).mean())
    if float(middle.max() - middle.min()) > rules.strong:
        return share > rules.plain_share
    return share > rules.grey_share and float(middle.max()) >= rules.black


def _is_bars(
    small: NDArray[np.int16],
    high: NDArray[np.int16],
    low: NDArray[np.int16],
    coloured: NDArray[np.bool_],
    rules: SignalRules,
) -> bool:
    """Stripes of strong colours, upright (with other fields below them) or lying."""
    codes = ((small > ((high + low) // 2)[..., None]) * np.array([1, 2, 4])).sum(axis=2)  # 1 red .. 6 cyan
    codes = np.where(coloured, codes, 0)
    upright = codes[: max(4, small.shape[0] * 11 // 20)]
    return _are_stripes(upright, rules) or _are_stripes(codes.T, rules)


def _are_stripes(codes: NDArray[np.int64], rules: SignalRules) -> bool:
    """Whether each column is of one colour, and the columns of several; ``codes`` (down, across)."""
    counts = np.stack([(codes == code).sum(axis=0) for code in range(8)])
    column = counts.argmax(axis=0)
    alike = float(counts.max(axis=0).sum()) / codes.size
    runs = 1 + int(np.count_nonzero(np.diff(column)))
    wide = [code for code in range(1, 7) if float((column == code).mean()) > 0.04]
    fewest, most = rules.bar_runs
    return alike >= rules.bar_alike and len(wide) >= rules.bar_colours and fewest <= runs <= most


def _steps(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the steps between neighbours across, uint8 (H / 8, W - 1), and the grey rows that they are of."""
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[2::ROWS]), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return np.asarray(cv2.absdiff(grey[:, 1:], grey[:, :-1]), dtype=np.uint8), grey


def _is_snow(steps: NDArray[np.uint8], grey: NDArray[np.uint8], rules: SignalRules) -> bool:
    """Noise in which neighbours know nothing of each other, in every corner of the picture."""
    if float(cv2.mean(steps)[0]) < rules.snow_step:
        return False
    tiles = cv2.resize(steps, (4, 4), interpolation=cv2.INTER_AREA)
    if float(tiles.min()) < rules.snow_step:
        return False
    part = grey[:, : grey.shape[1] // 2].astype(np.float32)
    return float(np.square(np.diff(part, axis=1)).mean()) > rules.snow_white * 2.0 * float(part.var())


def _is_sign(steps: NDArray[np.uint8], grey: NDArray[np.uint8], rules: SignalRules) -> bool:
    """One sign on an empty ground: all that is drawn lies together, in steep edges and without speckle."""
    drawn = np.asarray(cv2.threshold(steps, rules.edge, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
    x0, y0, width, height = cv2.boundingRect(drawn)
    least, most = rules.sign_area
    if not least <= width * height / steps.size <= most:
        return False
    ground = float(np.median(grey[::4, ::4]))
    if max(float(grey.max()) - ground, ground - float(grey.min())) < rules.sign_contrast:
        return False
    steep = int(cv2.countNonZero(drawn[y0 : y0 + height, x0 : x0 + width]))
    weak = (steps > 2) & (drawn == 0)
    near = weak[max(0, y0 - 2) : y0 + height + 2, max(0, x0 - HALO) : x0 + width + HALO]
    inside, everywhere = int(np.count_nonzero(near)), int(np.count_nonzero(weak))
    return (
        steep >= rules.sign_edges * width * height
        and inside <= rules.sign_texture * steep
        and everywhere - inside <= rules.ground_noise * steps.size
        and _ink(grey[y0 : y0 + height, x0 : x0 + width], ground) >= rules.sign_ink
    )


def _ink(part: NDArray[np.uint8], ground: float) -> float:
    """Return how much of what stands out from the ground is of one grey, give or take 12."""
    drawn = part[np.abs(part.astype(np.float32) - ground) > 20.0]
    counts = np.bincount(drawn, minlength=256)
    most: float = np.convolve(counts, np.ones(25), "same").max()
    return float(most / max(1, drawn.size))
