"""The link between window and worker: a ring of frame slots in shared memory.

The window owns the ring (creates and unlinks it), the worker writes to it, newest wins. Each slot is a
seqlock: its sequence is odd while it is written, and the reader compares it before and after.

Layout, in native 64-bit words: ring header (slots, slot capacity in bytes, frames published), then the
slots, each a header (sequence, index, time in ms, width, height) padded to 64 bytes, and the pixels.
"""

from __future__ import annotations

import os
import struct
import threading
from dataclasses import dataclass, field
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from engines.errors import EchoGFRError

SLOTS = 6  # 100 ms at 60 frames/s from a view taken until its slot is written again
LEAST_SLOTS = 4
_LINE = 64  # bytes of a cache line: headers and pixels begin on one
# Native alignment (no "=" or "<"): each word is then stored by one memory access, never byte by byte.
_RING_HEADER = struct.Struct("QQQ")
_SLOT_HEADER = struct.Struct("QqdQQ")
_WORD = struct.Struct("Q")
_PUBLISHED_AT = 16  # byte of the ring header
_SHM_FOLDER = "/dev/shm"  # where Linux keeps shared memory: only asked for its free space


class LinkError(EchoGFRError):
    """The ring cannot be made or is not what it should be."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameView:
    """A picture in the ring: look at it, check ``intact``, let it go. Do not keep it.

    ``pixels`` is uint8 (H, W, 3) RGB, read-only, memory of the ring: THE WORKER MAY OVERWRITE IT. Copy
    or convert it, then ask ``intact``: False means that the copy is torn and must be thrown away.
    """

    index: int
    t_ms: float
    pixels: NDArray[np.uint8] = field(repr=False)
    _slots: _Slots | None = field(default=None, repr=False)  # None: memory that nobody overwrites
    _slot: int = field(default=0, repr=False)
    _sequence: int = field(default=0, repr=False)

    @property
    def intact(self) -> bool:
        """True if the worker has not written to the slot since this view was taken."""
        return self._slots is None or self._slots.sequence(self._slot) == self._sequence


class _Segment(SharedMemory):
    """Shared memory that makes no noise when it is dropped while a view of it still lives."""

    def __del__(self) -> None:
        try:
            super().__del__()
        except BufferError:
            pass  # the name is gone already, the mapping goes with the last view


class _Slots:
    """Where things lie in a ring; words and pixels by slot."""

    def __init__(self, segment: SharedMemory, count: int = 0, capacity: int = 0) -> None:
        """Lay out a new ring of ``count`` slots, or read the layout of the one that is there."""
        self._segment = segment
        if count:
            _RING_HEADER.pack_into(self._memory, 0, count, capacity, 0)
        header = _RING_HEADER.unpack_from(self._memory)
        self.count, self.capacity = int(header[0]), int(header[1])
        self._stride = _LINE + _padded(self.capacity)
        self._fence = threading.Lock()

    def sequence(self, slot: int) -> int:
        """Return the slot's sequence, or -1 once the ring is closed."""
        self.fence()
        try:
            sequence = int(_WORD.unpack_from(self._memory, self._at(slot))[0])
        except ValueError:  # closed, or about to be
            return -1
        self.fence()
        return sequence

    def fence(self) -> None:
        """Keep the processor from moving memory accesses across this line.

        Accesses may move into a locked section from either side, but not out of it: two that lie on
        different sides of two sections in a row cannot pass each other.
        """
        with self._fence:
            pass
        with self._fence:
            pass

    def header(self, slot: int) -> tuple[int, int, float, int, int]:
        """Return sequence, index, t_ms, width, height."""
        return _SLOT_HEADER.unpack_from(self._memory, self._at(slot))

    def set_header(self, slot: int, header: tuple[int, int, float, int, int]) -> None:
        _SLOT_HEADER.pack_into(self._memory, self._at(slot), *header)

    def set_sequence(self, slot: int, sequence: int) -> None:
        self.fence()
        _WORD.pack_into(self._memory, self._at(slot), sequence)
        self.fence()

    @property
    def published(self) -> int:
        """How many frames were published so far."""
        return int(_WORD.unpack_from(self._memory, _PUBLISHED_AT)[0])

    @published.setter
    def published(self, frames: int) -> None:
        _WORD.pack_into(self._memory, _PUBLISHED_AT, frames)

    def pixels(self, slot: int, width: int, height: int) -> NDArray[np.uint8]:
        # By way of a slice: only that keeps the memory from being unmapped while the array lives.
        start = self._at(slot) + _LINE
        flat: NDArray[np.uint8] = np.asarray(self._memory[start : start + width * height * 3])
        return flat.reshape(height, width, 3)

    @property
    def _memory(self) -> memoryview:
        memory = self._segment.buf
        if memory is None:
            raise ValueError("the ring is closed")
        return memory

    def _at(self, slot: int) -> int:
        return _LINE + slot * self._stride


class Ring:
    """The window's side: owns the shared memory, takes views of frames."""

    def __init__(self, frame_bytes: int) -> None:
        """Make a ring for frames of up to ``frame_bytes``; raises ``LinkError`` if there is no room."""
        slots = _affordable_slots(frame_bytes)
        size = _LINE + slots * (_LINE + _padded(frame_bytes))
        try:
            self._segment = _Segment(create=True, size=size)
        except OSError as error:
            cause = f"shared memory cannot be had ({error.strerror})"
            raise LinkError("The picture cannot be shown", cause, "restart the program") from error
        self._slots = _Slots(self._segment, slots, frame_bytes)

    @property
    def name(self) -> str:
        """The name under which the worker attaches."""
        return self._segment.name

    def newest(self) -> FrameView | None:
        """Return the newest frame, or None while there is none."""
        for _ in range(self._slots.count):
            published = self._slots.published
            if published == 0:
                return None
            view = self._view((published - 1) % self._slots.count)
            if view is not None:
                return view
        return None

    def frame(self, index: int) -> FrameView | None:
        """Return the newest frame with this index, or None if the ring has it no more."""
        views = (self._view(slot) for slot in range(self._slots.count))
        found = [view for view in views if view is not None and view.index == index]
        return max(found, key=lambda view: view.t_ms, default=None)

    def unlink(self) -> None:
        """Take the name away: nobody can attach any more, and the memory goes with its last user."""
        self._segment.unlink()

    def close(self) -> bool:
        """Let go of the memory; False if a view still holds it: try again later."""
        try:
            self._segment.close()
        except BufferError:
            return False
        return True

    def _view(self, slot: int) -> FrameView | None:
        sequence = self._slots.sequence(slot)
        _, index, t_ms, width, height = self._slots.header(slot)
        if sequence <= 0 or sequence % 2 or not 0 < width * height * 3 <= self._slots.capacity:
            return None
        pixels = self._slots.pixels(slot, width, height)
        pixels.setflags(write=False)
        view = FrameView(index, t_ms, pixels, self._slots, slot, sequence)
        return view if view.intact else None


class RingWriter:
    """The worker's side: writes frames, never reads, never unlinks."""

    def __init__(self, name: str) -> None:
        # Registers the name with the resource tracker once more, as any attaching does. That is harmless here:
        # a spawned child shares its parent's tracker, which keeps a set, and the window's unlink clears it.
        self._segment = _Segment(name)
        self._slots = _Slots(self._segment)

    def holds(self, frame_bytes: int) -> bool:
        """Return whether a frame of this size fits a slot."""
        return frame_bytes <= self._slots.capacity

    def write(self, index: int, t_ms: float, pixels: NDArray[np.uint8]) -> None:
        """Publish a frame, uint8 (H, W, 3) RGB, in place of the oldest one."""
        height, width = pixels.shape[:2]
        published = self._slots.published
        slot = published % self._slots.count
        done = 2 * (published + 1)
        self._slots.set_sequence(slot, done - 1)
        self._slots.set_header(slot, (done - 1, index, t_ms, width, height))
        np.copyto(self._slots.pixels(slot, width, height), pixels)
        self._slots.set_sequence(slot, done)
        self._slots.published = published + 1

    def close(self) -> None:
        """Let go of the memory."""
        self._segment.close()


def _padded(size: int) -> int:
    return -(-size // _LINE) * _LINE


def _affordable_slots(frame_bytes: int) -> int:
    """As many slots as there is room for: memory beyond it would end the worker with a bus error."""
    if not os.path.isdir(_SHM_FOLDER):
        return SLOTS
    disk = os.statvfs(_SHM_FOLDER)
    slots = min(SLOTS, disk.f_bavail * disk.f_frsize // (_LINE + _padded(frame_bytes)) - 1)
    if slots < LEAST_SLOTS:
        need = LEAST_SLOTS * frame_bytes / 2**20
        raise LinkError("The picture cannot be shown", f"shared memory has no room for {need:.0f} MiB", "enlarge it")
    return slots
