"""The one door to RapidOCR: words in a picture, by networks that came with the wheel. Nothing is ever downloaded."""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from engines import _onnxruntime
from engines.errors import RuntimeUnavailableError

Box = tuple[int, int, int, int]
WHAT, CURE = "No words can be read from the picture", "pip install rapidocr"
_LOADING = threading.Lock()
THREADS = 1  # a line takes some 15 ms; the other cores belong to the model and to the screen
FEWEST_PX = 4  # of a box's sides: less holds no letter
FINDER_SIDE_PX = 736  # shorter side at which words are looked for: RapidOCR's own choice


@dataclass(frozen=True, slots=True)
class TextLine:
    """Words on one line; ``box`` is (x0, y0, x1, y1) in pixels, x1 and y1 exclusive; ``confidence`` 0..1."""

    text: str
    box: Box
    confidence: float


class _Answer(Protocol):
    txts: Sequence[str] | None
    scores: Sequence[float] | None
    boxes: NDArray[np.float32] | None


class _Library(Protocol):
    def __call__(self, pixels: NDArray[np.uint8], *, use_det: bool, use_cls: bool, use_rec: bool) -> _Answer: ...


class _Reader:
    """One RapidOCR; the network that finds lines is loaded when it is first used; one caller at a time."""

    def __init__(self) -> None:
        self._library = _load()
        self._lock = threading.Lock()

    def line(self, pixels: NDArray[np.uint8]) -> tuple[str, float]:
        """Read the words of a picture that holds one line."""
        with self._lock:
            answer = self._library(pixels, use_det=False, use_cls=False, use_rec=True)
        if not answer.txts or not answer.scores:
            return "", 0.0
        return answer.txts[0], float(answer.scores[0])

    def page(self, pixels: NDArray[np.uint8]) -> list[TextLine]:
        """Find and read all lines of a picture."""
        with self._lock:
            answer = self._library(pixels, use_det=True, use_cls=False, use_rec=True)
        if answer.boxes is None or not answer.txts or not answer.scores:
            return []
        height, width = pixels.shape[:2]
        found = zip(answer.txts, answer.boxes, answer.scores, strict=True)
        return [TextLine(text, _around(corners, width, height), float(score)) for text, corners, score in found]


def read_text(pixels: NDArray[np.uint8], boxes: Iterable[Box] | None = None) -> tuple[TextLine, ...]:
    """Return the words in RGB uint8 (H, W, 3) ``pixels``, left to right on each line.

    ``boxes``: each holds one line, which takes some 15 ms; a box without words gives none. None: words are looked for
    in all of the picture, which takes about a second on one core. The caller judges ``confidence``.

    Raises
    ------
    RuntimeUnavailableError
        RapidOCR is not installed, broken, or came without its networks.
    """
    reader = _reader()
    if boxes is None:
        return tuple(reader.page(_bgr(pixels)))
    lines = []
    for box in boxes:
        part = _part(pixels, box)
        if part is not None:
            text, confidence = reader.line(_bgr(part))
            if text.strip():
                lines.append(TextLine(text.strip(), box, confidence))
    return tuple(lines)


def _part(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8] | None:
    """Return what ``box`` holds of the picture; None where that is too little for a letter."""
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), box[2], box[3]
    part = pixels[y0 : max(y0, y1), x0 : max(x0, x1)]
    return part if min(part.shape[:2]) >= FEWEST_PX else None


def _bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _around(corners: NDArray[np.float32], width: int, height: int) -> Box:
    """Return the upright box around four corners, inside the picture."""
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return max(0, int(x0)), max(0, int(y0)), min(width, int(np.ceil(x1)) + 1), min(height, int(np.ceil(y1)) + 1)


def prepare() -> None:
    """Load the networks, half a second and more, so that the first words need not wait for it; raises as above."""
    _reader().line(np.zeros((48, 160, 3), np.uint8))


def _reader() -> _Reader:
    with _LOADING:
        return _only_reader()


@lru_cache(maxsize=1)
def _only_reader() -> _Reader:
    return _Reader()


def _load() -> _Library:
    """Return RapidOCR on the networks of its own wheel: with their paths named, it has nothing left to fetch."""
    try:
        _onnxruntime.load_library()  # first, so that its telemetry is off
        with _without_socket():
            library = importlib.import_module("rapidocr")
            importlib.import_module("rapidocr.main")  # what it imports late, too
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RuntimeUnavailableError(WHAT, f"RapidOCR cannot be loaded ({reason})", CURE) from error
    folder = Path(str(library.__file__)).parent / "models"
    engine = "EngineConfig.onnxruntime"
    settings = {
        "Global.log_level": "critical",
        "Global.use_cls": False,  # words on a screen stand upright
        "Global.text_score": 0.0,
        "Det.model_path": _network(folder, "det"),
        "Det.limit_side_len": FINDER_SIDE_PX,
        "Rec.model_path": _network(folder, "rec"),
        "Rec.rec_batch_num": 1,  # a batch is as wide as its widest line
        "Rec.rec_img_shape": [3, 48, 160],
        f"{engine}.intra_op_num_threads": THREADS,
        f"{engine}.inter_op_num_threads": 1,
    }
    return cast("_Library", library.RapidOCR(params=settings))


@contextmanager
def _without_socket() -> Iterator[None]:
    """Keep urllib3, which RapidOCR brings and we never use, from opening a socket to try IPv6 as it is imported."""
    has_ipv6, socket.has_ipv6 = socket.has_ipv6, False
    try:
        yield
    finally:
        socket.has_ipv6 = has_ipv6


def _network(folder: Path, task: str) -> str:
    found = sorted(folder.glob(f"*_{task}_*.onnx"))
    if not found:
        raise RuntimeUnavailableError(WHAT, f"RapidOCR came without its network '{task}'", f"{CURE} --force-reinstall")
    return str(found[0])
