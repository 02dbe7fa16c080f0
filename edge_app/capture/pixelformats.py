"""From the bytes of a grabber to RGB: packed and planar YUV, RGB and JPEG, with the right matrix and range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.modes import COMPRESSED

U8 = NDArray[np.uint8]
Matrix = Literal["601", "709"]
# Share of red and of blue in the luma: ITU-R BT.601-7 and BT.709-6, section 2.5.1 and item 3.2.
LUMA: dict[Matrix, tuple[float, float]] = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How a picture lies in a buffer.

    ``stride`` is the length of a row of the first plane, bytes; planes of colour have rows of half or the same length,
    as V4L2 lays them. ``full`` True: levels 0 to 255; False: 16 to 235 (and 16 to 240), as video has them.
    """

    fourcc: str
    width: int
    height: int
    stride: int
    matrix: Matrix = "601"
    full: bool = False


def to_rgb(data: memoryview | bytes, layout: PixelFormat) -> U8 | None:
    """Return uint8 (H, W, 3) RGB that does not share memory with ``data``; None for a damaged picture.

    Raises
    ------
    KeyError
        The format is none of ``modes.READABLE``: a defect of the caller.
    """
    if layout.fourcc in COMPRESSED:
        pixels = _jpeg(data)
        return pixels if pixels is None or layout.full else _stretched(pixels)
    raw = np.frombuffer(data, np.uint8)
    if raw.size < _bytes_of(layout):
        return None  # the grabber lost its cable or its time in the middle of the picture
    if layout.fourcc in _OPENCV and layout.matrix == "601" and not layout.full:
        return _by_opencv(raw, layout)
    return _READERS[layout.fourcc](raw, layout)


def yuv_to_rgb_matrix(matrix: Matrix, full: bool) -> NDArray[np.float32]:
    """Return the 3 x 4 matrix from (Y, Cb, Cr, 1), bytes, to (R, G, B), 0 to 255."""
    red, blue = LUMA[matrix]
    green = 1 - red - blue
    luma, chroma = (1.0, 1.0) if full else (255 / 219, 255 / 224)
    offset = 0 if full else 16
    of_cr, of_cb = 2 * (1 - red) * chroma, 2 * (1 - blue) * chroma
    rows = [(luma, 0, of_cr), (luma, -of_cb * blue / green, -of_cr * red / green), (luma, of_cb, 0)]
    return np.array([(y, cb, cr, -y * offset - 128 * (cb + cr)) for y, cb, cr in rows], np.float32)


def _jpeg(data: memoryview | bytes) -> U8 | None:
    raw = np.frombuffer(data, np.uint8)
    # Drivers pad; a picture without its end was cut off, and the decoder would fill it up with grey.
    if raw.size < 4 or bytes(raw[:2]) != b"\xff\xd8" or b"\xff\xd9" not in bytes(raw[-1024:]):
        return None
    try:
        bgr = cv2.imdecode(raw, cv2.IMREAD_COLOR)
    except cv2.error:
        return None  # a damaged header asks for more memory than OpenCV gives
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _packed(luma_at: int, first: str) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of two pixels in four bytes; luma is every second byte, ``first`` of the colours is U or V."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        row = np.ascontiguousarray(_rows(raw, layout, layout.height, layout.width * 2))
        luma, pairs = (_channel(row.reshape(layout.height, -1, 2), place) for place in (luma_at, 1 - luma_at))
        return _joined(luma, pairs, first, layout)

    return read


def _semiplanar(first: str) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of a plane of Y and one of both colours in turn, halved both ways; ``first`` is U or V."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        luma = _rows(raw, layout, layout.height, layout.width)
        pairs = _rows(raw[layout.stride * layout.height :], layout, layout.height // 2, layout.width)
        return _joined(luma, pairs, first, layout)

    return read


def _planar(first: str) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of three planes, colour halved both ways; ``first`` is U or V."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        luma = _rows(raw, layout, layout.height, layout.width)
        stride, height, width = layout.stride // 2, layout.height // 2, layout.width // 2
        planes = raw[layout.stride * layout.height :][: 2 * stride * height].reshape(2, height, stride)[:, :, :width]
        pairs = np.stack([planes[0], planes[1]], axis=2).reshape(height, 2 * width)
        return _joined(luma, pairs, first, layout)

    return read


def _converted(code: int, width: int) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of ``width`` bytes a pixel by OpenCV."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        row = np.ascontiguousarray(_rows(raw, layout, layout.height, layout.width * width))
        return cv2.cvtColor(row.reshape(layout.height, -1, width), code).astype(np.uint8, copy=False)

    return read


def _by_opencv(raw: U8, layout: PixelFormat) -> U8:
    """Return RGB of BT.601 in limited range, which is all that OpenCV knows, at a fifth of the time."""
    width = least_stride(layout.fourcc, layout.width)
    rows = layout.height * 3 // 2 if layout.fourcc in _HALVED else layout.height
    row = np.ascontiguousarray(_rows(raw, layout, rows, width))
    shaped = row if width == layout.width else row.reshape(rows, layout.width, 2)
    return cv2.cvtColor(shaped, _OPENCV[layout.fourcc]).astype(np.uint8, copy=False)


def _rgb(raw: U8, layout: PixelFormat) -> U8:
    pixels: U8 = _rows(raw, layout, layout.height, layout.width * 3).reshape(layout.height, -1, 3).copy()
    return pixels


def _grey(raw: U8, layout: PixelFormat) -> U8:
    luma = _rows(raw, layout, layout.height, layout.width)
    if not layout.full:
        luma = _stretched(luma)
    return np.repeat(luma[:, :, None], 3, axis=2)


def _stretched(pixels: U8) -> U8:
    """Return levels of 16 to 235 as 0 to 255: cheap grabbers put limited range even into JPEG, which has none."""
    levels = np.rint(np.clip((np.arange(256) - 16) * (255 / 219), 0, 255)).astype(np.uint8)
    return cv2.LUT(np.ascontiguousarray(pixels), levels).astype(np.uint8, copy=False)


def _rows(raw: U8, layout: PixelFormat, rows: int, width: int) -> U8:
    """Return the rows of a plane without what pads them."""
    return raw[: layout.stride * rows].reshape(rows, layout.stride)[:, :width]


def _channel(pixels: U8, place: int) -> U8:
    return cv2.extractChannel(pixels, place).astype(np.uint8, copy=False)


def _joined(luma: U8, pairs: U8, first: str, layout: PixelFormat) -> U8:
    """Return RGB of luma, (H, W), and rows of colour pairs: of W bytes, and as many rows or half as many."""
    height, width = layout.height, layout.width
    # Two bytes are one value of 16 bits: both colours are spread over their pixels at once.
    halved = np.ascontiguousarray(pairs).view(np.uint16)
    spread = cv2.resize(halved, (width, height), interpolation=cv2.INTER_NEAREST)
    colours = spread.astype(np.uint16, copy=False).view(np.uint8).reshape(height, width, 2)
    yuv = cv2.merge([np.ascontiguousarray(luma), *cv2.split(colours)])
    matrix = yuv_to_rgb_matrix(layout.matrix, layout.full)
    if first == "V":
        matrix = np.ascontiguousarray(matrix[:, [0, 2, 1, 3]])
    return cv2.transform(yuv, matrix).astype(np.uint8, copy=False)


def _bytes_of(layout: PixelFormat) -> int:
    planes = 1.5 if layout.fourcc in _HALVED else 1
    return int(layout.stride * layout.height * planes)


def least_stride(fourcc: str, width: int) -> int:
    """Return the length of a row where the driver does not say, bytes."""
    return width * _PIXEL_BYTES.get(fourcc, 1)


_HALVED = ("NV12", "NV21", "YU12", "YV12")
_PIXEL_BYTES = {"YUYV": 2, "UYVY": 2, "YVYU": 2, "RGB3": 3, "BGR3": 3, "BGR4": 4, "XR24": 4}
_OPENCV = {
    "YUYV": cv2.COLOR_YUV2RGB_YUYV,
    "UYVY": cv2.COLOR_YUV2RGB_UYVY,
    "YVYU": cv2.COLOR_YUV2RGB_YVYU,
    "NV12": cv2.COLOR_YUV2RGB_NV12,
    "NV21": cv2.COLOR_YUV2RGB_NV21,
}
_READERS: dict[str, Callable[[U8, PixelFormat], U8]] = {
    "YUYV": _packed(0, "U"),
    "UYVY": _packed(1, "U"),
    "YVYU": _packed(0, "V"),
    "NV12": _semiplanar("U"),
    "NV21": _semiplanar("V"),
    "YU12": _planar("U"),
    "YV12": _planar("V"),
    "RGB3": _rgb,
    "BGR3": _converted(cv2.COLOR_BGR2RGB, 3),
    "BGR4": _converted(cv2.COLOR_BGRA2RGB, 4),
    "XR24": _converted(cv2.COLOR_BGRA2RGB, 4),
    "GREY": _grey,
}
