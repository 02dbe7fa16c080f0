"""Network streams: RTSP, MPEG-TS over UDP or TCP, HTTP, and what else FFmpeg reads from an address."""

from __future__ import annotations

import ssl
import time
from types import TracebackType
from typing import TYPE_CHECKING

from edge_app.capture.base import Frame, SourceError, SourceInfo
from edge_app.capture.clock import StreamClock
from edge_app.capture.naming import UNREACHED, host_of, shown
from edge_app.capture.pace import Pace

if TYPE_CHECKING:
    from edge_app.capture._av import Media, Picture

OPEN_S = 8.0  # for the connection and what the stream says of itself; a key picture may be seconds away
READ_S = 3.0  # a stream that sends nothing for so long has to be opened anew: FFmpeg cannot take up a wait it gave up
ASSUMED_FPS = 25.0

# What may carry a stream that was named so. "file" is nowhere: an answer from the network must not open a file here.
_CARRIERS = {
    "rtsp": "rtsp,rtp,srtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tcp,tls",
    "udp": "udp",
    "rtp": "rtp,udp",
    "tcp": "tcp",
    "tls": "tls,tcp",
    "http": "http,tcp",
    "https": "https,tls,tcp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
}
SCHEMES = tuple(_CARRIERS)
_ENCRYPTED = ("rtsps", "tls", "https", "rtmps")

_LOW_DELAY = {
    "analyzeduration": "1000000",  # microseconds; FFmpeg looks at 5 s of a stream without sound before it shows any
    "fpsprobesize": "2",  # and counts 20 pictures to guess their rate: two are enough for a picture after 0.2 s
}
_DIRECT = {"http_proxy": ""}  # a picture comes from the host that was named and passes nobody else
_OF_SCHEME = {
    "rtsp": {"rtsp_transport": "tcp"},  # a lost packet of UDP tears the picture, and firewalls keep it out
    "rtsps": {"rtsp_transport": "tcp"},
    "http": _DIRECT,
    "https": _DIRECT,
    "udp": {"overrun_nonfatal": "1", "fifo_size": "50000", "reuse": "1"},  # packets of 188 bytes: 9 MB
}


class StreamSource:
    """A stream from an address, live; a recording behind HTTP keeps its own pace and end.

    A stream that ends, breaks off or sends nothing for ``READ_S`` is a ``SourceError``: enter it anew.
    """

    def __init__(self, address: str, *, realtime: bool = True, open_s: float = OPEN_S, read_s: float = READ_S) -> None:
        self._address = address
        self._realtime = realtime
        self._deadlines = (open_s, read_s)
        self._media: Media | None = None
        self._first: Picture | None = None
        self._clock = StreamClock(1000 / ASSUMED_FPS)
        self._pace = Pace(False)
        self._size: tuple[int, int] | None = None
        self._index = 0

    @property
    def info(self) -> SourceInfo:
        """Host alone in the title; size and frame rate known once it was entered."""
        scheme = self._address.partition(":")[0].upper()
        live = self._media is None or not self._media.ends
        fps = None if self._media is None else self._media.fps or ASSUMED_FPS
        shape = "" if self._media is None else self._media.shape.said
        title = f"{scheme} stream from {host_of(self._address)}{shape}"
        return SourceInfo(shown(self._address), title, live, fps, self._size)

    def __enter__(self) -> StreamSource:
        from edge_app.capture._av import NETWORK_CONTAINERS, Media, MediaError

        options = {**_options(self._address), "format_whitelist": NETWORK_CONTAINERS}
        open_s, read_s = self._deadlines
        try:
            self._media = Media(self._address, options, live=True, open_s=open_s, read_s=read_s)
            self._first = self._media.next()
        except MediaError as error:
            self._close()
            raise self._failed("cannot be opened", error.because) from error
        if self._first is None:
            self._close()
            raise self._failed("cannot be opened", "it ended before the first picture")
        height, width = self._first.pixels.shape[:2]
        self._size = (width, height)
        self._clock = StreamClock(1000 / (self._media.fps or ASSUMED_FPS))
        self._pace = Pace(self._realtime and self._media.ends)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> Frame | None:
        """Return the next frame; None only at the end of a recording.

        Raises
        ------
        SourceError
            The stream has ended or broken off, or nothing came for ``READ_S``.
        """
        picture = self._next()
        if picture is None:
            return None
        t_ms = self._clock.at(picture.time_s, None if self._recorded else time.monotonic())
        self._pace.wait(t_ms)
        frame = Frame(self._index, t_ms, picture.pixels)
        self._index += 1
        return frame

    @property
    def _recorded(self) -> bool:
        return self._media is not None and self._media.ends

    def _next(self) -> Picture | None:
        from edge_app.capture._av import MediaError

        picture, self._first = self._first, None
        if picture is not None or self._media is None:
            return picture
        try:
            picture = self._media.next()
        except MediaError as error:
            raise self._failed("has broken off", error.because) from error
        if picture is None and not self._recorded:
            raise self._failed("has ended", "the sender sends no more")
        return picture

    def _failed(self, how: str, because: str) -> SourceError:
        return SourceError(f"The stream {shown(self._address)} {how}", because, _cure(self._address, because))

    def _close(self) -> None:
        if self._media is not None:
            self._media.close()
        self._media, self._first = None, None


def _options(address: str) -> dict[str, str]:
    scheme = _scheme(address)
    return {
        **_LOW_DELAY,
        "protocol_whitelist": _CARRIERS[scheme],
        **_OF_SCHEME.get(scheme, {}),
        **(_trusting() if scheme in _ENCRYPTED else {}),
    }


def _scheme(address: str) -> str:
    return address.partition(":")[0].lower()


def _trusting() -> dict[str, str]:
    """Return the options by which FFmpeg asks for a certificate; by itself it takes any."""
    authorities = ssl.get_default_verify_paths().cafile
    return {"tls_verify": "1", **({"ca_file": authorities} if authorities else {})}


def _cure(address: str, because: str) -> str:
    if "password" in because:
        return "write them into the address, as in rtsp://USER:PASSWORD@HOST/"
    if _scheme(address) in _ENCRYPTED and because == UNREACHED:
        return (
            "check the address, and that the certificate is for this host and of an authority that this computer "
            "trusts; a hospital's own goes into a PEM file that the variable SSL_CERT_FILE names"
        )
    return "check that the sender is on and sends to this address, and that the network lets it through"
