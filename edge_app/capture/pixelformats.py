"""From the bytes of a grabber to RGB: packed and planar YUV, RGB and JPEG, with the right matrix and range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

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
    if layout.fourcc in _JPEG:
        return _jpeg(data)
    raw = np.frombuffer(data, np.uint8)
    if raw.size < _bytes_of(layout):
        return None  # the grabber lost its cable or its time in the middle of the picture
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


def _packed(order: str) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of two pixels in four bytes, in this order: Y, y, U and V."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        row = _rows(raw, layout, layout.height, layout.width * 2)
        quads = row.reshape(layout.height, layout.width // 2, 4)
        luma = np.ascontiguousarray(quads[:, :, [order.index("Y"), order.index("y")]])
        planes = (quads[:, :, order.index("U")], quads[:, :, order.index("V")])
        return _joined(luma.reshape(layout.height, layout.width), *planes, layout)

    return read


def _semiplanar(first: str) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of a plane of Y and one of Cb and Cr in turn, halved both ways; ``first`` is U or V."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        luma = _rows(raw, layout, layout.height, layout.width)
        rest = raw[layout.stride * layout.height :]
        pairs = _rows(rest, layout, layout.height // 2, layout.width).reshape(layout.height // 2, layout.width // 2, 2)
        cb, cr = (0, 1) if first == "U" else (1, 0)
        return _joined(luma, pairs[:, :, cb], pairs[:, :, cr], layout)

    return read


def _planar(first: str) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of three planes, colour halved both ways; ``first`` is U or V."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        luma = _rows(raw, layout, layout.height, layout.width)
        stride, height, width = layout.stride // 2, layout.height // 2, layout.width // 2
        rest = raw[layout.stride * layout.height :][: 2 * stride * height].reshape(2, height, stride)[:, :, :width]
        cb, cr = (rest[0], rest[1]) if first == "U" else (rest[1], rest[0])
        return _joined(luma, cb, cr, layout)

    return read


def _ordered(channels: list[int], width: int) -> Callable[[U8, PixelFormat], U8]:
    """Return a reader of ``width`` bytes a pixel; ``channels`` says where red, green and blue are."""

    def read(raw: U8, layout: PixelFormat) -> U8:
        row = _rows(raw, layout, layout.height, layout.width * width)
        return np.ascontiguousarray(row.reshape(layout.height, layout.width, width)[:, :, channels])

    return read


def _grey(raw: U8, layout: PixelFormat) -> U8:
    luma = _rows(raw, layout, layout.height, layout.width)
    if not layout.full:
        levels = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255)
        luma = cv2.LUT(np.ascontiguousarray(luma), np.rint(levels).astype(np.uint8)).astype(np.uint8, copy=False)
    return np.repeat(luma[:, :, None], 3, axis=2)


def _rows(raw: U8, layout: PixelFormat, rows: int, width: int) -> U8:
    """Return the rows of a plane without what pads them."""
    return raw[: layout.stride * rows].reshape(rows, layout.stride)[:, :width]


def _joined(luma: U8, cb: U8, cr: U8, layout: PixelFormat) -> U8:
    size = (layout.width, layout.height)
    wide = [cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_NEAREST) for plane in (cb, cr)]
    yuv = cv2.merge([np.ascontiguousarray(luma), *wide])
    return cv2.transform(yuv, yuv_to_rgb_matrix(layout.matrix, layout.full)).astype(np.uint8, copy=False)


def _bytes_of(layout: PixelFormat) -> int:
    planes = 1.5 if layout.fourcc in _HALVED else 1
    return int(layout.stride * layout.height * planes)


def least_stride(fourcc: str, width: int) -> int:
    """Return the length of a row where the driver does not say, bytes."""
    return width * _PIXEL_BYTES.get(fourcc, 1)


_JPEG = ("MJPG", "JPEG")
_HALVED = ("NV12", "NV21", "YU12", "YV12")
_PIXEL_BYTES = {"YUYV": 2, "UYVY": 2, "YVYU": 2, "RGB3": 3, "BGR3": 3, "BGR4": 4, "XR24": 4}
_READERS: dict[str, Callable[[U8, PixelFormat], U8]] = {
    "YUYV": _packed("YUyV"),
    "UYVY": _packed("UYVy"),
    "YVYU": _packed("YVyU"),
    "NV12": _semiplanar("U"),
    "NV21": _semiplanar("V"),
    "YU12": _planar("U"),
    "YV12": _planar("V"),
    "RGB3": _ordered([0, 1, 2], 3),
    "BGR3": _ordered([2, 1, 0], 3),
    "BGR4": _ordered([2, 1, 0], 4),
    "XR24": _ordered([2, 1, 0], 4),
    "GREY": _grey,
}
