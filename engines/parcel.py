"""A bundle on its way: a folder or a zip archive from anywhere, whose every claim is checked before a byte is kept.

Names are flat, so no path can leave the folder that a bundle is unpacked to. Nothing is believed of an archive that is
not looked at again while it is read: a size that is declared is the most that is read.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from engines.bundle import MANIFEST_LIMIT_BYTES
from engines.consistency import MANIFEST_NAME, SIGNATURE_NAME
from engines.errors import BundleError
from engines.signature import SIGNATURE_LIMIT_BYTES

FILES_LIMIT = 1000  # 100 members in every precision are some 400
FILE_LIMIT_BYTES = 1 << 31  # as the manifest allows
RATIO_LIMIT = 100  # weights shrink by a tenth; what shrinks to a hundredth is no model
_RATIO_FROM_BYTES = 1 << 20  # a small text may well shrink more
_READ_LIMIT_BYTES = 1 << 22  # at once, the directory of an archive too: 1000 entries have 100 KB
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_ANOTHER = "get the bundle again from where it came from"
# What zipfile and zlib raise for archives that are damaged, or made to do harm.
_FAULTS = (
    BadZipFile, LargeZipFile, ZlibError, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError,
    MemoryError, KeyError, IndexError,
)  # fmt: skip

Moved = Callable[[int, int], None]  # bytes done, bytes in all; may raise to cancel


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files by name, with the sizes that they claim, and how each is opened."""

    path: Path
    sizes: dict[str, int]
    open: Callable[[str], IO[bytes]]

    @property
    def total_bytes(self) -> int:
        """What it claims to take on a disk."""
        return sum(self.sizes.values())

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of one small file.

        Raises
        ------
        BundleError
            It is not there, is larger than ``limit``, or cannot be read.
        """
        if name not in self.sizes:
            raise refused(self.path, f"it has no {name}", _ANOTHER)
        with reading(self.path), self.open(name) as stream:
            raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise refused(self.path, f"{name} is larger than {limit >> 10} KiB", _ANOTHER)
        return raw

    def manifest(self) -> bytes:
        """Return the bytes of its manifest; raises as ``read``."""
        return self.read(MANIFEST_NAME, MANIFEST_LIMIT_BYTES)

    def signature(self) -> bytes | None:
        """Return the bytes of its signature, None where there is none; raises as ``read``."""
        return self.read(SIGNATURE_NAME, SIGNATURE_LIMIT_BYTES) if SIGNATURE_NAME in self.sizes else None

    def unpack(self, folder: Path, moved: Moved) -> None:
        """Write every file into an empty folder, and to the disk; never more than was claimed.

        Raises
        ------
        BundleError
            A file is larger or smaller than it claimed, damaged, or the folder cannot be written.
        """
        done = 0
        for name, size in self.sizes.items():
            moved(done, self.total_bytes)
            with reading(self.path), self.open(name) as stream, (folder / name).open("xb") as copy:
                left = size
                while chunk := stream.read(min(_CHUNK_BYTES, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise refused(self.path, f"{name} holds more than the {size} bytes it claims", _ANOTHER)
                    copy.write(chunk)
                    moved(done + size - left, self.total_bytes)
                copy.flush()
                os.fsync(copy.fileno())  # the bedside box may lose its power at any moment
            if left:
                raise refused(self.path, f"{name} has {size - left} bytes where it claims {size}", _ANOTHER)
            done += size


@contextmanager
def open_parcel(path: Path) -> Iterator[Parcel]:
    """Open the folder or zip archive of a bundle; only names and sizes are looked at so far.

    Raises
    ------
    BundleError
        It is neither, or holds what no bundle holds: folders, links, devices, paths, doubled names, encryption, too
        many or too large files, or what unpacks to a hundred times its size.
    """
    if path.is_dir():
        with reading(path):
            parcel = Parcel(path, dict(_folder_sizes(path)), lambda name: _open_plain(path, name))
        yield parcel
        return
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refused(path, "it is neither a folder nor a zip archive", "name one of these")
    except OSError as error:
        raise refused(path, f"it cannot be read ({error.strerror})", "name a folder or a zip archive") from error
    with ExitStack() as stack:
        with reading(path):
            archive = stack.enter_context(ZipFile(stack.enter_context(_Bounded(path))))
            members = dict(_members(path, archive))
            _check_archive(path, members)
        sizes = {name: info.file_size for name, info in members.items()}
        yield Parcel(path, sizes, lambda name: archive.open(members[name]))


def _folder_sizes(root: Path) -> Iterator[tuple[str, int]]:
    with os.scandir(root) as entries:
        for count, entry in enumerate(entries):
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise refused(root, f"{_shown(entry.name)} is a link, a folder or a device", _ANOTHER)
            yield entry.name, _checked(root, entry.name, status.st_size, count)


def _open_plain(root: Path, name: str) -> IO[bytes]:
    """Open a file that is still a plain one: a pipe in its place would wait for ever."""
    handle = os.open(root / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise refused(root, f"{_shown(name)} is no plain file any more", _ANOTHER)
    return os.fdopen(handle, "rb")


def _members(path: Path, archive: ZipFile) -> Iterator[tuple[str, ZipInfo]]:
    """Yield the files of an archive by name; all may lie in one folder, whose name is left out."""
    entries = archive.infolist()
    folders = {info.filename.partition("/")[0] for info in entries if "/" in info.filename}
    inside = all("/" in info.filename for info in entries) and len(folders) == 1 and all(map(_is_name, folders))
    seen: set[str] = set()
    for count, info in enumerate(entries):
        name = info.filename.partition("/")[2] if inside else info.filename
        if name == "" and info.is_dir():
            continue
        fault = _entry_fault(info)
        if fault:
            raise refused(path, f"{_shown(info.filename)} {fault}", _ANOTHER)
        if name.lower() in seen:  # some disks know no difference
            raise refused(path, f"{_shown(name)} is in it twice", _ANOTHER)
        seen.add(name.lower())
        _checked(path, name, info.file_size, count)
        yield name, info


def _entry_fault(info: ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG):
        return "is a link, a folder or a device"
    if info.orig_filename != info.filename:
        return "has a second name"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}, which is not read here"
    if info.file_size > _RATIO_FROM_BYTES and info.file_size > RATIO_LIMIT * info.compress_size:
        return f"unpacks to more than {RATIO_LIMIT} times its size"
    return None


def _check_archive(path: Path, members: dict[str, ZipInfo]) -> None:
    """Refuse members that share bytes: together they cannot be larger than the file."""
    if sum(info.compress_size for info in members.values()) > path.stat().st_size:
        raise refused(path, "its members are larger than itself", _ANOTHER)


def _checked(path: Path, name: str, size: int, count: int) -> int:
    if not _is_name(name):
        raise refused(path, f"{_shown(name)} is no name that a file of a bundle can have", _ANOTHER)
    if count >= FILES_LIMIT:
        raise refused(path, f"it holds more than {FILES_LIMIT} files", _ANOTHER)
    if size > FILE_LIMIT_BYTES:
        raise refused(path, f"{name} is larger than 2 GiB", _ANOTHER)
    return size


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _shown(name: str) -> str:
    """Return a name from outside so that it can do nothing to a terminal, nor fill it."""
    return ascii(name[:80])


class _Bounded(io.FileIO):
    """A file that gives a little at a time: a directory that claims gigabytes is not read into memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to 4 MiB.

        Raises
        ------
        BadZipFile
            More was asked for.
        """
        if size is not None and size > _READ_LIMIT_BYTES:
            raise BadZipFile("its directory is too large")
        return super().read(_READ_LIMIT_BYTES if size is None or size < 0 else size) or b""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a parcel is read, or written to the disk, into one sentence."""
    try:
        yield
    except OSError as error:
        raise refused(
            path, f"it cannot be copied ({error.strerror or error})", "check the medium and the disk"
        ) from error
    except _FAULTS as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise refused(path, f"it is no whole zip archive ({ascii(told[:120])[1:-1]})", _ANOTHER) from error


def refused(path: Path, because: str, cure: str) -> BundleError:
    """Return the error of a parcel that is not taken in."""
    return BundleError(f"The bundle {path} cannot be imported", because, cure)
