"""OpenIGTLink: the pictures that PLUS, 3D Slicer or a research scanner sends to ``igtl:HOST:PORT/DEVICE``."""

from __future__ import annotations

import re
import socket
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import LONGEST_WAIT_S, Frame, SourceError, SourceInfo, Waiting
from edge_app.capture.clock import StreamClock
from edge_app.capture.files import frozen

PORT = 18944  # IANA: OpenIGTLink
OPEN_S = 5.0
MAX_BODY_BYTES = 64 << 20  # a 4K picture in colour takes 24 MiB; more is another protocol
ASSUMED_FPS = 25.0
SMALLEST = 16  # pixels each way
_NAME = re.compile(r"(?://)?(\[[0-9a-fA-F:.]+\]|[^/:\[\]\s]+)(?::([0-9]{1,5}))?(?:/(.*))?")
_EXAMPLE = "write igtl:HOST, igtl:HOST:PORT or igtl:HOST:PORT/DEVICE"


class IgtlSource:
    """The images of one device of a server, live; of the first device that sends any, where none is named.

    Other messages (positions, status) are passed over.
    """

    def __init__(self, asked: str) -> None:
        match = _NAME.fullmatch(asked.strip())
        if match is None or not 0 < int(match[2] or PORT) < 65536:
            raise SourceError(f"igtl:{asked} cannot be opened", "it names no host and port", _EXAMPLE)
        self._host, self._port = match[1].strip("[]"), int(match[2] or PORT)
        self._device = match[3] or None
        self._uri = f"igtl:{asked.strip()}"
        self._socket: socket.socket | None = None
        self._received = bytearray()
        self._clock = StreamClock(1000 / ASSUMED_FPS)
        self._size: tuple[int, int] | None = None
        self._index = 0

    @property
    def info(self) -> SourceInfo:
        """Host and port; the size known once the first picture came."""
        title = f"OpenIGTLink from {self._host}:{self._port}"
        return SourceInfo(self._uri, title, True, ASSUMED_FPS, self._size)

    def __enter__(self) -> IgtlSource:
        import edge_app.capture._igtl  # noqa: F401 - says now, not at the first picture, that pyigtl is missing

        try:
            self._socket = socket.create_connection((self._host, self._port), timeout=OPEN_S)
        except TimeoutError as error:
            raise self._failed("cannot be opened", "nobody answers") from error
        except OSError as error:
            raise self._failed("cannot be opened", (error.strerror or "the host is not known").lower()) from error
        self._received.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def read(self) -> Frame | Waiting | None:
        """Return the next picture, or ``Waiting`` if none came in time.

        Raises
        ------
        SourceError
            The server has closed the connection, or what it sends cannot be shown.
        """
        if self._socket is None:
            return None
        until_s = time.monotonic() + LONGEST_WAIT_S
        while (left_s := until_s - time.monotonic()) > 0:
            frame = self._taken()
            if frame is not None:
                return frame
            self._receive(self._socket, left_s)
        return Waiting(f"no picture has come from {self._device or 'any device'} yet")

    def _receive(self, connection: socket.socket, within_s: float) -> None:
        connection.settimeout(within_s)
        try:
            data = connection.recv(1 << 20)
        except TimeoutError:
            return
        except OSError as error:
            raise self._failed("has broken off", (error.strerror or "the connection is lost").lower()) from error
        if not data:
            raise self._failed("has ended", "the server has closed the connection")
        self._received += data

    def _taken(self) -> Frame | None:
        """Return the next picture of our device among what was received, if it is there as a whole."""
        from edge_app.capture._igtl import HEADER_BYTES, BadMessage, header, picture

        while len(self._received) >= HEADER_BYTES:
            try:
                head = header(bytes(self._received[:HEADER_BYTES]))
                if head.body_bytes > MAX_BODY_BYTES:
                    raise BadMessage("it announces more than a picture can hold")
                end = HEADER_BYTES + head.body_bytes
                if len(self._received) < end:
                    return None
                body = bytes(self._received[HEADER_BYTES:end])
                del self._received[:end]
                if head.kind != "IMAGE" or self._device not in (None, head.device):
                    continue
                pixels = frozen(picture(head, body))
            except BadMessage as error:
                raise self._failed("cannot be read", str(error)) from error
            return self._frame(pixels, head.device, head.time_s)
        return None

    def _frame(self, pixels: NDArray[np.uint8], device: str, made_s: float) -> Frame:
        height, width = pixels.shape[:2]
        if min(height, width) < SMALLEST:
            raise self._failed("cannot be shown", f"{device} sends {width}x{height} pixels")
        self._device, self._size = device, (width, height)
        frame = Frame(self._index, self._clock.at(made_s or None, time.monotonic()), pixels)
        self._index += 1
        return frame

    def _failed(self, how: str, because: str) -> SourceError:
        what = f"OpenIGTLink from {self._host}:{self._port} {how}"
        return SourceError(what, because, "check that the server runs and sends 8-bit images there")
