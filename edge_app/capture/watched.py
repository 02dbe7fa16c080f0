"""A watched folder: stills, DICOM files and clips are shown as they appear in it, newest first; it never ends.

It is looked through again and again instead of being reported by the operating system: the folders into which
scanners export are network shares, and of what another machine writes there no system reports anything. Nothing in
the folder is changed or deleted.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from edge_app.capture.base import LONGEST_WAIT_S, Frame, FrameSource, SourceError, SourceInfo, Waiting, frames

LOOK_S = 0.2  # between two looks at the folder; longer where a look takes long
LOOK_SHARE = 10.0  # times what the look itself took
SETTLE_S = 0.3  # a file that did not grow for so long may be complete; doubled each time that it is not
MOST_TRIES = 6  # 20 s: a copy may have stalled
SHOWN_S = 0.5  # at least, before the next of several files that came together
FIRST_TRIES = 20  # files that were there before, until one is a picture
DEPTH = 4  # scanners export into folders of study and series
MOST_FILES = 20_000  # beyond it, each look would take seconds
UNFINISHED = frozenset({".part", ".tmp", ".temp", ".filepart", ".crdownload", ".partial"})
CLIPS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".m4v", ".webm", ".ts"})
STILLS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
DICOM = frozenset({"", ".dcm", ".dicom", ".ima", ".img"})
ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}  # of a file that is complete


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was at one look; written again, it is another."""

    path: Path
    size: int
    written_ns: int


class WatchedFolder:
    """Whatever is newest in a folder, and then each file that comes or is written anew.

    Of several that come together the newest is shown first, then the others, and the newest once more, so that it
    is what stays on screen. A clip is played, and left for a file that comes meanwhile. A file that stays unreadable
    is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._present: set[Found] = set()  # before the watch began: of these only the newest picture is shown
        self._known: set[Found] = set()  # taken for showing, or passed over
        self._tries: dict[Found, int] = {}  # of a file that could not be read
        self._since: dict[Path, tuple[Found, float]] = {}  # since when a file is as it is
        self._waiting: list[Found] = []  # to be shown, in this order
        self._newest: Found | None = None  # of those that were shown
        self._frames: Generator[Frame, None, None] = _none()
        self._index = 0
        self._start_s = self._looked_s = self._look_took_s = self._begun_s = 0.0

    @property
    def info(self) -> SourceInfo:
        """Stills without end."""
        return SourceInfo(f"watch:{self._path}", "watched folder", False, None, None)

    def __enter__(self) -> WatchedFolder:
        self._start_s = time.monotonic()
        present = sorted(self._look(), key=_age, reverse=True)
        self._present, self._known = set(present), set(present)
        self._waiting = present[:FIRST_TRIES]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()

    def read(self) -> Frame | Waiting:
        """Return the next picture, or ``Waiting`` if none came for a moment.

        Raises
        ------
        SourceError
            The folder is gone, or holds too much.
        """
        end_s = time.monotonic() + LONGEST_WAIT_S - LOOK_S / 4
        while True:
            self._gather()
            frame = self._begun() if self._is_due() else next(self._frames, None)
            if frame is not None:
                return self._numbered(frame)
            if time.monotonic() >= end_s:
                return Waiting("no new file in the folder")
            time.sleep(LOOK_S / 4)

    def _is_due(self) -> bool:
        return bool(self._waiting) and (self._index == 0 or time.monotonic() - self._begun_s >= SHOWN_S)

    def _begun(self) -> Frame | None:
        """Return the first frame of the next file that waits; None if it cannot be read."""
        found = self._waiting.pop(0)
        opened = self._opened(found)
        frame = next(opened, None)
        if frame is None:
            return None
        self._frames.close()
        self._frames, self._begun_s = opened, time.monotonic()
        if self._newest is None:
            self._waiting = [one for one in self._waiting if one not in self._present]
        if self._newest is None or _age(found) >= _age(self._newest):
            self._newest = found
        elif not self._waiting:
            self._waiting = [self._newest]
        return frame

    def _numbered(self, frame: Frame) -> Frame:
        """Return the frame as one of this stream: its time is that of its coming."""
        numbered = replace(frame, index=self._index, t_ms=(time.monotonic() - self._start_s) * 1000)
        self._index += 1
        return numbered

    def _opened(self, found: Found) -> Generator[Frame, None, None]:
        """Give the frames of one file; one that cannot be read has none, and is tried again for a while."""
        tries = self._tries.pop(found, 0)
        try:
            if tries + 1 < MOST_TRIES and not _is_whole(found.path):
                raise SourceError(f"{found.path} cannot be read", "it is not complete", "wait for it")
            with _source(found.path) as source:
                yield from frames(source)
        except (SourceError, OSError):
            if tries + 1 < MOST_TRIES and self._since.get(found.path, (None,))[0] == found:
                self._tries[found] = tries + 1
                self._since[found.path] = (found, time.monotonic())
                self._known.discard(found)

    def _pause_s(self) -> float:
        return max(LOOK_S, LOOK_SHARE * self._look_took_s) - (time.monotonic() - self._looked_s)

    def _gather(self) -> None:
        """Look at the folder if it is time, and put what is complete and new in front of what waits."""
        if self._looked_s and self._pause_s() > 0:
            return
        now_s = time.monotonic()
        found = self._look()
        self._looked_s, self._look_took_s = time.monotonic(), time.monotonic() - now_s
        before = self._since
        self._since = {one.path: before[one.path] if _same(before, one) else (one, now_s) for one in found}
        ready = [one for one in found if one not in self._known and self._has_settled(one, now_s)]
        if ready:
            self._known.update(ready)
            self._waiting = sorted({*ready, *self._waiting}, key=_age, reverse=True)

    def _has_settled(self, one: Found, now_s: float) -> bool:
        tries = self._tries.get(one, 0)
        return now_s - self._since[one.path][1] >= SETTLE_S * 2.0**tries

    def _look(self) -> list[Found]:
        try:
            found = list(_files(self._path, DEPTH))
        except FileNotFoundError:
            raise self._unusable("there is no such folder", "check the path, and the share that it is on") from None
        except NotADirectoryError:
            raise self._unusable("it is a file", "name the folder around it") from None
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be read", "check its permissions") from error
        if len(found) > MOST_FILES:
            raise self._unusable(f"it holds more than {MOST_FILES} files", "let the scanner export into an empty one")
        return found

    def _unusable(self, because: str, cure: str) -> SourceError:
        return SourceError(f"The folder {self._path} cannot be watched", because, cure)


def _same(before: dict[Path, tuple[Found, float]], one: Found) -> bool:
    return one.path in before and before[one.path][0] == one


def _age(found: Found) -> tuple[int, str]:
    return found.written_ns, str(found.path)


def _files(folder: Path, depth: int) -> Iterator[Found]:
    """Find the files that may hold a picture, folders inside included; what vanishes meanwhile is no error."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith((".", "~")) or path.suffix.lower() in UNFINISHED:
                continue
            try:
                facts = entry.stat()
                inside = depth > 1 and entry.is_dir(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if inside:
                yield from _inside(path, depth - 1)
            elif stat.S_ISREG(facts.st_mode) and facts.st_size and _may_be_shown(path):
                yield Found(path, facts.st_size, facts.st_mtime_ns)


def _inside(folder: Path, depth: int) -> Iterator[Found]:
    try:
        yield from _files(folder, depth)
    except OSError:  # removed, or another's: the folder itself is still watched
        return


def _may_be_shown(path: Path) -> bool:
    """Judge by the name alone: files are opened once they are complete. DICOM files often have no ending."""
    ending = path.suffix.lower()
    return ending in CLIPS or ending in STILLS or ending in DICOM or ending.lstrip(".").isdigit()


def _is_whole(path: Path) -> bool:
    """Whether the end of a PNG or JPEG is there: half a JPEG can be decoded, and shows half a kidney."""
    end = ENDS.get(path.suffix.lower())
    if end is None:
        return True
    with path.open("rb") as file:
        file.seek(-min(len(end), path.stat().st_size), os.SEEK_END)
        return bool(file.read() == end)


def _none() -> Generator[Frame, None, None]:
    yield from ()


def _source(path: Path) -> FrameSource:
    """Return the source of one file; clips play at the speed at which they were recorded."""
    from edge_app.capture.dicom import DicomSource, looks_like_dicom
    from edge_app.capture.video import StillSource, VideoSource

    if looks_like_dicom(path):
        return DicomSource(path, realtime=True)
    if path.suffix.lower() in CLIPS:
        return VideoSource(path, realtime=True)
    return StillSource(path)


def open_watch(path: str) -> WatchedFolder:
    """Return the source of ``watch:PATH``; raises ``SourceError`` if no path is named."""
    if not path:
        raise SourceError("No folder can be watched", "no path was given", "write watch:PATH")
    return WatchedFolder(Path(path).expanduser())
