"""The one door to PyAV (FFmpeg): opens a file or a stream, decodes its picture, and gives RGB with square pixels.

Range (limited or full) and matrix (BT.601, BT.709, BT.2020) are the ones that the stream states; where it states none
they are limited and BT.601, which is what FFmpeg itself writes so. Interlaced pictures are deinterlaced.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import SourceError
from edge_app.capture.files import frozen
from edge_app.capture.naming import UNREACHED
from edge_app.capture.pixelshape import PixelShape

try:
    import av
    from av.container import InputContainer
    from av.filter import Graph
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
except ImportError as error:
    raise SourceError(
        "Video cannot be read", f"PyAV is not usable here ({error})", "pip install 'av>=17,<20'"
    ) from error

# FFmpeg writes its complaints past Python to stderr; ours is the one sentence that the user gets.
av.logging.set_level(None)

PLAUSIBLE_FPS = (1.0, 240.0)  # what scanners and grabbers give; containers also claim 0 or 90000
# Containers that scanners, grabbers and archives write. FFmpeg knows 300 more, which take text for terminal art, ask
# other computers for their parts, or never gave up on a damaged file.
CONTAINERS = (
    "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,mjpeg,mpjpeg,h264,hevc,m4v,av1,obu,ivf,asf,flv,dv,gif,apng,mxf,nut,"
    "ogg,yuv4mpegpipe,rm"
)
NETWORK_CONTAINERS = f"{CONTAINERS},rtsp,rtp,sdp,hls"
TORN_FRAMES = 50  # after a loss, pictures are built on what was lost; some encoders never send a key picture again
MAX_PIXELS = 8192 * 8192  # a damaged header asks for more, and would fill the memory
SILENT = "nothing came in time"
SQUARE = (0.98, 1.02)  # width to height of a pixel that nobody needs to correct
PLAUSIBLE_PIXELS = (0.4, 2.5)  # 1:1 up to half a field; anything else is a damaged header
TICK = Fraction(1, 90000)  # seconds; of the times that are written
DEINTERLACER = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")  # leaves progressive frames as they are


class MediaError(Exception):
    """FFmpeg cannot open, reach or read something; the text is the cause in a few words."""

    def __init__(self, because: str, *, damaged: bool = False) -> None:
        super().__init__(because)
        self.because = because
        self.damaged = damaged  # it was reached, and what it holds is no video


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture: uint8 (H, W, 3) RGB, read-only, and when it is shown by the stream's clock, seconds."""

    pixels: NDArray[np.uint8]
    time_s: float | None


class Media:
    """A container that is open, and the decoder of its first video.

    Parameters
    ----------
    url : str
        As FFmpeg takes it; a path must stand behind ``file:``.
    options : mapping
        Options of FFmpeg's demuxers and protocols: ``protocol_whitelist`` and ``format_whitelist`` belong there.
    live : bool
        True: decode without delay, one thread; after a loss, pictures are left out until a whole one comes.
    open_s, read_s : float or None
        Deadlines of opening, and of each wait for data; None: as long as it takes.

    Raises
    ------
    MediaError
        It cannot be opened or holds no video.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, str],
        *,
        live: bool,
        open_s: float | None = None,
        read_s: float | None = None,
    ) -> None:
        self._live = live
        begun_s = time.monotonic()
        try:
            self._container: InputContainer = av.open(url, options=dict(options), timeout=(open_s, read_s))
        except (av.error.FFmpegError, ValueError, UnicodeError) as error:
            if open_s is not None and time.monotonic() - begun_s >= open_s:
                raise MediaError(SILENT) from error  # FFmpeg may call it damaged, because it has seen nothing
            raise _explained(error) from error
        try:
            self._stream = _video_of(self._container)
            self._set_up(self._stream)
        except BaseException:  # Ctrl-C too: no connection and no file stays open
            self._container.close()
            raise
        self._pictures = self._decoded()

    @property
    def fps(self) -> float | None:
        """Frames per second as the container claims, where that is plausible."""
        claimed = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        return claimed if PLAUSIBLE_FPS[0] <= claimed <= PLAUSIBLE_FPS[1] else None

    @property
    def codec(self) -> str:
        """Name of the video's codec and of the container, as FFmpeg calls them."""
        return f"{self._stream.codec_context.name} in {self._container.format.name.split(',')[0]}"

    @property
    def ends(self) -> bool:
        """Whether the container says how long it is: a recording; a live stream cannot."""
        return self._container.duration is not None

    @property
    def shape(self) -> PixelShape:
        """What shape the pixels had, as the stream states it; its pictures are given with square ones."""
        return PixelShape(_pixel_width(self._stream.sample_aspect_ratio))

    def next(self) -> Picture | None:
        """Return the next picture; None at the end.

        Raises
        ------
        MediaError
            A live stream broke off or did not come in time.
        """
        return next(self._pictures, None)

    def close(self) -> None:
        """Let go of file or connection; may be called again."""
        self._pictures.close()
        self._container.close()

    def _set_up(self, stream: VideoStream) -> None:
        context = stream.codec_context
        context.options = {**context.options, "max_pixels": str(MAX_PIXELS)}
        # Threads that each decode a frame of their own are faster, but hold as many frames back.
        stream.thread_type = "SLICE" if self._live else "AUTO"
        context.thread_count = 1 if self._live else 2

    def _decoded(self) -> Generator[Picture, None, None]:
        for frame in self._deinterlaced(self._frames()):
            yield Picture(frozen(self._rgb(frame)), frame.time)

    def _deinterlaced(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        deinterlacer = _Deinterlacer()
        for frame in frames:
            yield from deinterlacer.put(frame)
        yield from deinterlacer.rest()

    def _frames(self) -> Iterator[VideoFrame]:
        torn = 0  # pictures still to leave out, unless a key picture comes first
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                frames, torn = [], TORN_FRAMES  # one damaged picture; the next may be whole
            if packet.is_corrupt:
                torn = TORN_FRAMES
            for frame in frames:
                torn = 0 if frame.key_frame and not packet.is_corrupt else max(0, torn - 1)
                if torn == 0 or not self._live:
                    yield frame

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from self._container.demux(self._stream)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            if self._live:
                raise _explained(error) from error
            return  # a recording that was cut short

    def _rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3) RGB with square pixels, turned upright."""
        width = round(frame.width * _pixel_width(self._stream.sample_aspect_ratio))
        rgb = frame.reformat(width=width, height=frame.height, format="rgb24", interpolation="BICUBIC")
        pixels = rgb.to_ndarray().astype(np.uint8, copy=False)
        turns = round(frame.rotation / 90)
        return np.rot90(pixels, turns) if turns else pixels


class VideoFile:
    """A video file that is being written: H.264, nearly lossless, without sound and without any metadata.

    Frames are uint8 (H, W, 3) RGB of one size; times are milliseconds and rise. An odd size gets one black row or
    column more, which the codec needs.

    Raises
    ------
    MediaError
        FFmpeg cannot write it, or a frame has another size.
    """

    def __init__(self, path: str, size: tuple[int, int], fps: float) -> None:
        self._size = size
        self._last = -1
        try:
            self._container = av.open(f"file:{path}", "w", format="mp4", container_options={"fflags": "+bitexact"})
            self._stream = self._container.add_stream("libx264", rate=round(fps * 1000) / Fraction(1000))
        except (av.error.FFmpegError, ValueError) as error:
            raise _explained(error) from error
        self._stream.width, self._stream.height = size[0] + size[0] % 2, size[1] + size[1] % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = TICK
        self._stream.options = {"crf": "12", "preset": "veryfast"}
        self._stream.codec_context.flags |= av.codec.context.Flags.bitexact.value

    def write(self, pixels: NDArray[np.uint8], t_ms: float) -> None:
        """Append one frame."""
        height, width = pixels.shape[:2]
        if (width, height) != self._size:
            raise MediaError("its picture changes its size on the way")
        frame = VideoFrame.from_ndarray(np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0))), format="rgb24")
        self._last = max(self._last + 1, round(t_ms / 1000 / TICK))
        frame.pts, frame.time_base = self._last, TICK
        self._mux(frame)

    def end(self) -> None:
        """Write what was held back, and close."""
        self._mux(None)
        self.close()

    def close(self) -> None:
        """Let go of the file; may be called again."""
        self._container.close()

    def _mux(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise _explained(error) from error


class _Deinterlacer:
    """Passes frames on, through FFmpeg's deinterlacer from the first interlaced one on."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def put(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield what can be shown now."""
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            yield from self.rest()
            self._shape = shape
        if self._graph is None and frame.interlaced_frame:
            self._graph = _graph(frame)
        if self._graph is None:
            yield frame
            return
        self._graph.vpush(frame)
        yield from _pulled(self._graph)

    def rest(self) -> Iterator[VideoFrame]:
        """Yield what was held back, and begin anew."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.vpush(None)
            yield from _pulled(graph)


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
    )
    graph.link_nodes(source, graph.add(*DEINTERLACER), graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield frame


def _video_of(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        cover = bool(stream.disposition & av.stream.Disposition.attached_pic)  # of a piece of music
        # A codec that FFmpeg does not know has no context, whatever PyAV's types say.
        if not cover and getattr(stream, "codec_context", None) is not None:
            return stream
    raise MediaError("it holds no video", damaged=True)


def _pixel_width(aspect: Fraction | None) -> float:
    """Return by how much a picture must be stretched so that its pixels are squares."""
    width = float(aspect or 1)
    return width if PLAUSIBLE_PIXELS[0] <= width <= PLAUSIBLE_PIXELS[1] and not SQUARE[0] < width < SQUARE[1] else 1.0


_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (av.error.ExitError, SILENT),
    (av.error.TimeoutError, SILENT),
    (av.error.ConnectionRefusedError, "nobody listens there"),
    (av.error.ConnectionResetError, "the sender has broken off"),
    (av.error.HTTPUnauthorizedError, "it asks for a user name and password, or these are wrong"),
    (av.error.HTTPForbiddenError, "the server forbids it"),
    (av.error.HTTPNotFoundError, "the server knows no such stream"),
    (av.error.ProtocolNotFoundError, "this FFmpeg does not know the protocol, or it is not allowed here"),
    (av.error.PermissionError, "permission is refused"),
    (av.error.EOFError, "it ended before the first picture"),
)


def _explained(error: Exception) -> MediaError:
    number = getattr(error, "errno", None)
    if isinstance(error, (av.error.InvalidDataError, UnicodeError)) or number == errno.EINVAL:
        return MediaError("it is no video or is damaged", damaged=True)
    for kind, because in _CAUSES:
        if isinstance(error, kind):
            return MediaError(because)
    if number == errno.EIO:
        return MediaError(UNREACHED)
    # Without the address, which may hold a password: FFmpeg repeats it behind the text.
    said = getattr(error, "strerror", None) or type(error).__name__
    return MediaError(f"FFmpeg says: {said[:1].lower()}{said[1:]}")
