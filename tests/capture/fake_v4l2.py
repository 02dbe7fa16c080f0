"""A grabber that is not there, below every library: it answers V4L2's own calls with the kernel's own structures.

Its "device" is a real file, so that opening, mapping, polling and closing are the system's; only ``ioctl`` is ours.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import linuxpy.ioctl
import pytest
from linuxpy.video import device as v4l2
from linuxpy.video import raw

IOC = raw.IOC


@dataclass
class Picture:
    data: bytes
    time_s: float = 0.0
    number: int = 0
    field: int = 1  # progressive
    flags: int = 0


@dataclass
class FakeGrabber:
    """``modes``: format, size and rates that it offers; ``errors``: what a call fails with."""

    path: Path
    modes: list[tuple[str, int, int, list[int]]]
    card: str = "USB3 HDMI"
    quantization: int = 0
    colorspace: int = 8  # sRGB, as USB grabbers say
    ycbcr_enc: int = 0
    padding: int = 0  # bytes at the end of each row
    capabilities: int = 0x04200001
    native: tuple[int, int] | None = None
    errors: dict[int, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)  # formats that do not start, and why
    pictures: deque[Picture] = field(default_factory=deque)
    queued: deque[int] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    format: tuple[str, int, int] = ("", 0, 0)
    fps: int = 0
    streaming: bool = False

    def ioctl(self, fd: int, request: int, argument: Any = None) -> int:
        if request in self.errors:
            raise OSError(self.errors[request], os.strerror(self.errors[request]))
        answers = {
            IOC.QUERYCAP: self._capability,
            IOC.ENUM_FMT: self._enum_format,
            IOC.ENUM_FRAMESIZES: self._enum_size,
            IOC.ENUM_FRAMEINTERVALS: self._enum_rate,
            IOC.S_FMT: self._set_format,
            IOC.G_FMT: self._get_format,
            IOC.S_PARM: self._set_rate,
            IOC.G_PARM: self._get_rate,
            IOC.REQBUFS: self._request,
            IOC.QUERYBUF: self._query,
            IOC.QBUF: self._queue,
            IOC.DQBUF: self._dequeue,
            IOC.STREAMON: self._on,
            IOC.STREAMOFF: self._off,
            IOC.QUERY_DV_TIMINGS: self._timings,
            IOC.S_DV_TIMINGS: lambda _: None,
        }
        if request not in answers:
            raise OSError(errno.ENOTTY, "not supported")
        answers[request](argument)
        return 0

    @property
    def stride(self) -> int:
        fourcc, width, _ = self.format
        wide = {"YUYV": 2, "UYVY": 2, "RGB3": 3, "BGR3": 3}.get(fourcc, 1)
        return width * wide + self.padding

    @property
    def length(self) -> int:
        pages = self.format[1] * self.format[2] * 4 // mmap.PAGESIZE + 1
        return pages * mmap.PAGESIZE

    def _capability(self, told: raw.v4l2_capability) -> None:
        told.driver, told.card, told.bus_info = b"uvcvideo", self.card.encode(), b"usb-1"
        told.capabilities = told.device_caps = self.capabilities

    def _enum_format(self, told: raw.v4l2_fmtdesc) -> None:
        told.pixelformat = raw.v4l2_fourcc(*_nth(list(dict.fromkeys(mode[0] for mode in self.modes)), told.index))

    def _enum_size(self, told: raw.v4l2_frmsizeenum) -> None:
        _, width, height, _ = _nth([m for m in self.modes if raw.v4l2_fourcc(*m[0]) == told.pixel_format], told.index)
        told.type, told.discrete.width, told.discrete.height = 1, width, height

    def _enum_rate(self, told: raw.v4l2_frmivalenum) -> None:
        (rates,) = [
            m[3]
            for m in self.modes
            if (raw.v4l2_fourcc(*m[0]), m[1], m[2]) == (told.pixel_format, told.width, told.height)
        ]
        told.type, told.discrete.numerator, told.discrete.denominator = 1, 1, _nth(rates, told.index)

    def _set_format(self, told: raw.v4l2_format) -> None:
        pix = told.fmt.pix
        self.format = (v4l2.human_pixel_format(pix.pixelformat), pix.width, pix.height)
        self.asked.append(f"{self.format[0]} {pix.width}x{pix.height}")

    def _get_format(self, told: raw.v4l2_format) -> None:
        fourcc, width, height = self.format
        pix = told.fmt.pix
        pix.width, pix.height, pix.pixelformat = width, height, raw.v4l2_fourcc(*fourcc)
        pix.bytesperline, pix.sizeimage, pix.field = self.stride, self.length, 1
        pix.colorspace, pix.quantization, pix.ycbcr_enc = self.colorspace, self.quantization, self.ycbcr_enc

    def _set_rate(self, told: raw.v4l2_streamparm) -> None:
        step = told.parm.capture.timeperframe
        self.fps = round(step.denominator / step.numerator)

    def _get_rate(self, told: raw.v4l2_streamparm) -> None:
        told.parm.capture.timeperframe.numerator, told.parm.capture.timeperframe.denominator = 1, self.fps

    def _request(self, told: raw.v4l2_requestbuffers) -> None:
        self.queued.clear()
        if told.count:
            told.count = 3  # fewer than asked for, as drivers do
            os.truncate(self.path, told.count * self.length)

    def _query(self, told: raw.v4l2_buffer) -> None:
        told.length = self.length
        told.m.offset = told.index * self.length

    def _queue(self, told: raw.v4l2_buffer) -> None:
        assert told.index not in self.queued, "a buffer was given back twice"
        self.queued.append(told.index)

    def _dequeue(self, told: raw.v4l2_buffer) -> None:
        if not self.pictures:
            raise OSError(errno.EAGAIN, "nothing yet")
        assert self.queued, "the reader holds all buffers"
        picture = self.pictures.popleft()
        told.index = self.queued.popleft()
        with self.path.open("r+b") as memory:
            memory.seek(told.index * self.length)
            memory.write(picture.data)
        told.bytesused, told.length, told.sequence = len(picture.data), self.length, picture.number
        told.field, told.flags = picture.field, picture.flags | v4l2.BufferFlag.TIMESTAMP_MONOTONIC
        told.timestamp.secs = int(picture.time_s)
        told.timestamp.usecs = round(picture.time_s % 1 * 1e6)

    def _on(self, _: object) -> None:
        if self.format[0] in self.refused:
            raise OSError(self.refused[self.format[0]], "refused")
        self.streaming = True

    def _off(self, _: object) -> None:
        self.streaming = False
        self.queued.clear()

    def _timings(self, told: raw.v4l2_dv_timings) -> None:
        if self.native is None:
            raise OSError(errno.ENOTTY, "not supported")
        told.bt.width, told.bt.height = self.native


def _nth(items: list[Any], index: int) -> Any:
    if index >= len(items):
        raise OSError(errno.EINVAL, "no more")
    return items[index]


def plug_in(grabber: FakeGrabber, monkeypatch: pytest.MonkeyPatch) -> FakeGrabber:
    """Let the grabber's file be the only video device of this computer."""
    grabber.path.write_bytes(b"")

    class Calls:
        ioctl = staticmethod(grabber.ioctl)

    monkeypatch.setattr(linuxpy.ioctl, "fcntl", Calls)
    monkeypatch.setattr(v4l2, "iter_video_files", lambda: [grabber.path])
    return grabber
