"""One wheel as a file: whole, what it says of itself, and unpacked with every byte compared with its own record."""

from __future__ import annotations

import hashlib
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import BadZipFile

from installer import install
from installer.destinations import SchemeDictionaryDestination, WheelDestination
from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry, RecordEntry
from installer.sources import WheelContentElement, WheelFile
from installer.utils import Scheme
from packaging.utils import canonicalize_name

from edge_app.addon.folder import WheelPath
from edge_app.addon.known import AddOnError, stranger

_PLACES = ("purelib", "platlib")
Written = Callable[[int], None]  # bytes more


class _DamagedError(Exception):
    """What is read is not what the record says."""


class CheckedWheel(WheelFile):
    """A wheel whose files are compared with its record while they are read."""

    written: Written = staticmethod(lambda _: None)

    def metadata(self) -> Message:
        """Return what the wheel says of itself."""
        return HeaderParser().parsestr(self.read_dist_info("METADATA"))

    def paths(self) -> list[str]:
        """Return what it holds, without folders."""
        return [item.filename for item in self._zipfile.infolist() if not item.is_dir()]

    @property
    def unpacked_bytes(self) -> int:
        """The room that it takes."""
        return sum(item.file_size for item in self._zipfile.infolist())

    def get_contents(self) -> Iterator[WheelContentElement]:
        """Give each file; one that was read and is not what the record says ends it."""
        for record, stream, executable in super().get_contents():
            checked = _Checked(stream, self.written)
            yield record, cast("BinaryIO", checked), executable
            checked.compare(RecordEntry.from_elements(*record))


class _Checked:
    """A stream that knows the hash of what was read of it."""

    def __init__(self, stream: BinaryIO, written: Written) -> None:
        self._stream, self._written = stream, written
        self._digest, self._touched = hashlib.sha256(), False

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self._touched = True
        self._digest.update(chunk)
        self._written(len(chunk))
        return chunk

    def compare(self, record: RecordEntry) -> None:
        """Raise where it was read and is another; the record itself has no hash."""
        if not self._touched or record.hash_ is None:
            return
        value = urlsafe_b64encode(self._digest.digest()).decode("ascii").rstrip("=")
        if (record.hash_.name, record.hash_.value) != ("sha256", value):
            raise _DamagedError(f"{record.path} is not what its record says")


class _Folder(SchemeDictionaryDestination):
    """Modules and libraries go to one folder; programs and headers nowhere, as nothing would run them."""

    def __init__(self, folder: Path) -> None:
        super().__init__({place: str(folder) for place in _PLACES}, "", "posix")

    def write_script(self, name: str, module: str, attr: str, section: object) -> RecordEntry:
        return RecordEntry(name, None, None)

    def write_file(self, scheme: Scheme, path: object, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        if scheme not in _PLACES:
            return RecordEntry(str(path), None, None)
        return super().write_file(scheme, str(path), stream, is_executable)

    def finalize_installation(self, scheme: Scheme, record_file_path: str, records: object) -> None:
        """Keep no record of what was written: the folder is removed as a whole."""


@contextmanager
def opened(wheel: WheelPath) -> Iterator[CheckedWheel]:
    """Open a wheel; what is wrong with it is one sentence (``AddOnError``)."""
    try:
        with CheckedWheel.open(wheel.path) as source:
            yield cast("CheckedWheel", source)
    except (BadZipFile, zlib.error, EOFError, KeyError, UnicodeDecodeError, NotImplementedError) as error:
        raise AddOnError(f"{wheel.path.name} is damaged ({_first(error)})", "copy the folder again") from error
    except (_DamagedError, InvalidRecordEntry, InstallerError) as error:
        raise AddOnError(f"{wheel.path.name} is damaged ({_first(error)})", "copy the folder again") from error


def _first(error: Exception) -> str:
    issues = getattr(error, "issues", None)
    return str(issues[0] if issues else error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def check_contents(wheel: WheelPath, source: CheckedWheel) -> Message:
    """Compare a wheel's list of files and its own name with what it is said to be; return what it says of itself.

    Raises
    ------
    AddOnError
        It is another wheel than its name says, or holds what belongs to none of the libraries of an add-on.
    """
    source.validate_record(validate_contents=False)
    about = source.metadata()
    if canonicalize_name(about.get("Name", "")) != wheel.name:
        raise AddOnError(
            f"{wheel.path.name} calls itself {about.get('Name')}", "give the file its name back, or take it out"
        )
    strange = stranger(source.paths(), source.data_dir)
    if strange is not None:
        because = f"{wheel.path.name} holds {strange}, which is no part of the library that it is called after"
        raise AddOnError(because, "get the wheel from its maker")
    return about


def unpack(wheel: WheelPath, folder: Path, written: Written) -> None:
    """Lay a wheel's modules and libraries into a folder.

    Raises
    ------
    AddOnError
        It is damaged, leads out of the folder, or holds a file that another wheel has laid there.
    OSError
        The disk refuses.
    """
    with opened(wheel) as source:
        source.written = written
        try:
            install(source, cast("WheelDestination", _Folder(folder)), {})
        except FileExistsError as error:
            because = f"{wheel.path.name} and another wheel hold the same files"
            raise AddOnError(because, "leave one of them in the folder") from error
        except ValueError as error:  # the library's word for a path that leads elsewhere
            because = f"{wheel.path.name} cannot be unpacked safely ({_first(error)})"
            raise AddOnError(because, "get the wheel from its maker") from error
