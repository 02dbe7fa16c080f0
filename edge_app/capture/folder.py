"""A folder of stills in natural order of their names: 2.png before 10.png."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from edge_app.capture.base import Frame, SourceError, SourceInfo
from edge_app.capture.pace import Pace
from edge_app.capture.video import is_still, read_still

STILLS_PER_SECOND = 2.0  # slow enough to look at, fast enough to wait for


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which numbers inside a name count as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


class FolderSource:
    """The stills of one folder, sizes may differ; other files and folders in it are passed over."""

    def __init__(self, path: Path, *, realtime: bool = False) -> None:
        self._path = path
        self._pace = Pace(realtime)
        self._files: list[Path] = []
        self._index = 0
        self._size: tuple[int, int] | None = None

    @property
    def info(self) -> SourceInfo:
        """How many stills there are, known once it was entered."""
        title = f"folder of {len(self._files)} stills"
        return SourceInfo(f"folder:{self._path}", title, False, None, self._size)

    def __enter__(self) -> FolderSource:
        self._files = sorted(_stills_in(self._path), key=lambda file: natural_order(file.name))
        if not self._files:
            raise SourceError(f"{self._path} cannot be used", "it holds no PNG, JPEG or other still", "choose another")
        height, width = read_still(self._files[0]).shape[:2]
        self._size = (width, height)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index = len(self._files)

    def read(self) -> Frame | None:
        """Return the next still, or None after the last; a damaged one is an error."""
        if self._index >= len(self._files):
            return None
        t_ms = self._index * 1000 / STILLS_PER_SECOND
        frame = Frame(self._index, t_ms, read_still(self._files[self._index]))
        self._pace.wait(t_ms)
        self._index += 1
        return frame


def _stills_in(path: Path) -> list[Path]:
    what = f"The folder {path} cannot be opened"
    try:
        return [file for file in path.iterdir() if not file.name.startswith(".") and is_still(file)]
    except FileNotFoundError:
        raise SourceError(what, "there is no such folder", "check the path") from None
    except NotADirectoryError:
        raise SourceError(what, "it is a file", "write file: before the path") from None
    except OSError as error:
        raise SourceError(what, error.strerror or "it cannot be read", "check its permissions") from error
