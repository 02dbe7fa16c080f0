"""A DICOM receiver (C-STORE SCP): shows the pictures that a scanner or a PACS sends here. The one door to pynetdicom.

What comes stays in memory: nothing is written, and of what it says about a patient nothing is read out or logged.
pynetdicom answers each sender on threads of its own. They are kept inside the entered source, which joins them when
it is left; a process of their own would gain nothing, since the scanner worker, whose process this is, can be killed
and started again by the window as it is.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

from edge_app.capture.base import LONGEST_WAIT_S, Frame, SourceError, SourceInfo, Waiting
from edge_app.capture.dicom import DicomSource, status

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

LOOPBACK = "127.0.0.1"
TITLE = "ECHOGFR"  # its application entity title
VERIFICATION = "1.2.840.10008.1.1"
STORAGE = (
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.6",  # the two, retired, as older scanners still send them
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture
    "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture
)
TRANSFER = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)  # what pydicom decodes with the plug-ins that come along
MOST_BYTES = 512 << 20  # of one object: ten seconds of uncompressed colour at full size
MOST_PDU = 1 << 20  # bytes that a sender may announce at once; 128 KiB are offered
MOST_SENDERS = 4
MOST_CONNECTIONS = 16  # of which some may never say what they want
MOST_WAITING = 4  # objects that are not shown yet; then a sender is told to come again
ANSWER_S = 5.0  # for a sender to say what it wants, once connected
IDLE_S = 30.0  # for a sender to go on
END_S = 2.0  # for the threads to end
GRACE_S = 0.1
OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0xA700, 0xC210  # DICOM PS3.4 table B.2-1


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen, and under which title; ``title`` None: any sender's idea of it will do."""

    host: str
    port: int
    title: str | None


class DicomReceiver:
    """Frames of the objects that are sent here, in order of their coming; never ends by itself."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._library = _pynetdicom()
        self._server: ThreadedAssociationServer | None = None
        self._connections = _Connections()
        self._waiting: deque[DicomSource] = deque()
        self._playing: DicomSource | None = None
        self._came = threading.Condition()
        self._index = 0
        self._start_s = 0.0

    @property
    def info(self) -> SourceInfo:
        """Stills without end; the title says so where the whole network can send."""
        at, open_to = f"{self._listener.host}:{self._listener.port}", ""
        if not self._listener.host.startswith("127.") and self._listener.host not in ("localhost", "::1"):
            open_to = ", open to the network: anyone there can send pictures"
        return SourceInfo(f"dicom-listen:{at}", f"DICOM receiver on {at}{open_to}", False, None, None)

    @property
    def port(self) -> int:
        """The port, also where 0 let the system choose one."""
        return self._listener.port

    def __enter__(self) -> DicomReceiver:
        self._start_s = time.monotonic()
        entity = self._library.AE(ae_title=self._listener.title or TITLE)
        entity.require_called_aet = self._listener.title is not None
        entity.maximum_associations = MOST_SENDERS
        entity.maximum_pdu_size = 128 << 10
        entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = ANSWER_S, IDLE_S, IDLE_S
        for uid in STORAGE:
            entity.add_supported_context(uid, list(TRANSFER))
        entity.add_supported_context(VERIFICATION)
        events = self._library.evt
        handlers = [
            (events.EVT_CONN_OPEN, self._connections.add),
            (events.EVT_CONN_CLOSE, self._connections.closed),
            (events.EVT_C_STORE, self._take),
        ]
        address = (self._listener.host, self._listener.port)
        try:
            server = entity.start_server(address, block=False, evt_handlers=handlers)
        except (OSError, OverflowError) as error:
            raise _deaf(self._listener, error) from error
        self._listener = replace(self._listener, port=server.server_address[1])
        self._server = server
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._connections.end()
        self._server = self._playing = None
        self._waiting.clear()

    def read(self) -> Frame | Waiting:
        """Return the next frame, or ``Waiting`` if nothing was sent for a moment."""
        with self._came:
            if self._playing is None and not self._waiting:
                self._came.wait(LONGEST_WAIT_S)
        while self._playing is not None or self._waiting:
            if self._playing is None:
                self._playing = self._waiting.popleft()
            frame = _next(self._playing)
            if frame is not None:
                return self._numbered(frame)
            self._playing = None
        return Waiting("nothing was sent")

    def _numbered(self, frame: Frame) -> Frame:
        """Return the frame as one of this stream: its time is that of its showing."""
        numbered = replace(frame, index=self._index, t_ms=(time.monotonic() - self._start_s) * 1000)
        self._index += 1
        return numbered

    def _take(self, event: Event) -> int | Dataset:
        """Answer a C-STORE: the first frame is decoded before it is called a success. On a thread of pynetdicom."""
        self._connections.next_object(event.assoc)
        if len(self._waiting) >= MOST_WAITING:
            return status(OUT_OF_RESOURCES, "Earlier pictures are still being shown: send again")
        source = DicomSource(Path("The object"), realtime=True, data=event.encoded_dataset())
        try:
            source.__enter__()
        except SourceError as error:
            return status(CANNOT_UNDERSTAND, error.because)
        with self._came:
            self._waiting.append(source)
            self._came.notify()
        return 0x0000


def open_receiver(asked: str) -> DicomReceiver:
    """Return the source of ``dicom-listen:[HOST:]PORT[?aet=TITLE]``; raises ``SourceError`` for anything else."""
    return DicomReceiver(parse_listener(asked))


def parse_listener(asked: str) -> Listener:
    """Read ``[HOST:]PORT[?aet=TITLE]``; without a host only this computer can send."""
    place, question, options = asked.partition("?")
    host, _, port = place.rpartition(":")
    name, _, title = options.partition("=")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise _unnamed(asked, "the port must be a number up to 65535")
    if question and (name != "aet" or not 0 < len(title) <= 16 or not title.isascii() or not title.isprintable()):
        raise _unnamed(asked, "of options there is aet alone, a title of up to 16 characters")
    return Listener(host.strip("[]") or LOOPBACK, int(port), title.strip() or None)


def _unnamed(asked: str, because: str) -> SourceError:
    cure = "write dicom-listen:11112, or dicom-listen:HOST:PORT?aet=TITLE to be reached from other computers"
    return SourceError(f"dicom-listen:{asked} cannot be opened", because, cure)


def _deaf(listener: Listener, error: Exception) -> SourceError:
    what = f"No DICOM can be received on {listener.host}:{listener.port}"
    because = getattr(error, "strerror", None) or str(error)
    return SourceError(what, because, "choose another port, above 1024, and an address of this computer")


def _pynetdicom() -> ModuleType:
    try:
        import pynetdicom
        from pynetdicom import _config
    except ModuleNotFoundError as error:
        cure = "install it with: pip install 'echogfr[dicom]'"
        raise SourceError("DICOM cannot be received", "pynetdicom is not installed", cure) from error
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # names of patients stand in what it would log
    return pynetdicom


def _next(source: DicomSource) -> Frame | None:
    """Return the next frame of an object; one whose later frames are damaged ends there."""
    try:
        return source.read()
    except SourceError:
        return None


class _Meter:
    """Closes a connection that sends more than one object may have: pynetdicom itself believes any length."""

    def __init__(self, wire: AssociationSocket) -> None:
        self._wire, self._receive = wire, wire.recv
        self._taken = 0
        wire.recv = self  # type: ignore[method-assign, assignment]

    def __call__(self, count: int) -> bytearray:
        """Receive so many bytes."""
        self._taken += count
        if count > MOST_PDU or self._taken > MOST_BYTES:
            self._wire.close()
            raise OSError("more than one object may have")
        return self._receive(count)

    def begin_anew(self) -> None:
        """Count from nothing for the next object."""
        self._taken = 0


class _Connections:
    """Every connection that was made, with what of it pynetdicom leaves to chance: its size, its number, its end."""

    def __init__(self) -> None:
        self._open: list[tuple[Association, socket.socket, _Meter]] = []
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        """Take a new connection; the bytes of all may be told apart from now on."""
        wire = event.assoc.dul.socket
        if wire is None or wire.socket is None:
            return
        with self._lock:
            ended = [one for one in self._open if not one[0].is_alive() and one[0].ident is not None]
            self._open = [one for one in self._open if one not in ended]
            full = len(self._open) >= MOST_CONNECTIONS
            self._open.append((event.assoc, wire.socket, _Meter(wire)))
        for _, plain, _ in ended:
            _close(plain)
        if full:
            wire.close()
            self.closed(event)

    @staticmethod
    def closed(event: Event) -> None:
        """End a conversation whose other end has gone before it said anything: else it is waited for."""
        event.assoc.dul.to_user_queue.put(None)  # type: ignore[arg-type]

    def next_object(self, association: Association) -> None:
        """Count the bytes of a sender's next object from nothing."""
        for one, _, meter in self._open:
            if one is association:
                meter.begin_anew()

    def end(self) -> None:
        """End all conversations and wait for the threads that led them."""
        end_s = time.monotonic() + END_S
        for association, _, _ in self._open:
            if association.is_established:
                association.abort(block=False)
            association.dul.to_user_queue.put(None)  # type: ignore[arg-type]  # as if no request had come in time
        for association, plain, _ in self._open:
            _join(association, GRACE_S)  # for the abort to be sent
            _close(plain)
            _join(association, end_s - time.monotonic())
            association.dul.kill_dul()
            _join(association.dul, end_s - time.monotonic())


def _join(thread: threading.Thread, timeout_s: float) -> None:
    if thread.ident is not None:  # one whose connection was made this moment has not begun
        thread.join(max(GRACE_S, timeout_s))


def _close(plain: socket.socket) -> None:
    """Close a socket that may be read from just now; pynetdicom leaves those open whose other end went first."""
    with suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)
    plain.close()
