"""A bundle that travels: packed the same each time, and unpacked only if every claim of it is harmless and true."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from engines.bundle import open_bundle
from engines.errors import BundleError
from engines.pack import pack
from engines.parcel import open_parcel

Change = Callable[[ZipFile], None]


def silent(done: int, total: int) -> None:
    """Nobody listens."""


def unpacked(path: Path, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    with open_parcel(path) as parcel:
        parcel.unpack(folder, silent)
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_packed_bundle_comes_out_as_it_went_in(bundle_path: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        pack(open_bundle(bundle_path), tmp_path / name, silent)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert unpacked(tmp_path / "a.zip", tmp_path / "out") == contents(bundle_path)
    assert unpacked(bundle_path, tmp_path / "again") == contents(bundle_path)


def test_the_same_bundle_elsewhere_and_later_packs_to_the_same_bytes(bundle_path: Path, tmp_path: Path) -> None:
    pack(open_bundle(bundle_path), tmp_path / "a.zip", silent)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name, raw in reversed(contents(bundle_path).items()):
        (moved / name).write_bytes(raw)
        os.utime(moved / name, (1, 1))
    pack(open_bundle(moved), tmp_path / "b.zip", silent)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_packing_a_bundle_that_changed_leaves_no_archive(bundle_path: Path, tmp_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    (bundle_path / "card.md").write_bytes(b"changed")
    with pytest.raises(BundleError, match="changed"):
        pack(bundle, tmp_path / "a.zip", silent)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_zip_of_the_whole_folder_is_read_too(bundle_path: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("mine/", b"")
        for path in bundle_path.iterdir():
            archive.write(path, f"mine/{path.name}")
    assert unpacked(tmp_path / "a.zip", tmp_path / "out") == contents(bundle_path)


def entry(name: str, kind: int = stat.S_IFREG, method: int = ZIP_STORED) -> ZipInfo:
    made = ZipInfo("x")
    made.filename = made.orig_filename = name
    made.external_attr, made.compress_type, made.create_system = (kind | 0o777) << 16, method, 3
    return made


HOSTILE: dict[str, tuple[Change, str]] = {
    "above": (lambda a: a.writestr(entry("../x"), b""), "no name"),
    "far above": (lambda a: a.writestr(entry("b/../../x"), b""), "no name"),
    "absolute": (lambda a: a.writestr(entry("/etc/x"), b""), "no name"),
    "a drive": (lambda a: a.writestr(entry("C:\\x"), b""), "no name"),
    "a folder in it": (lambda a: a.writestr(entry("b/x"), b""), "no name"),
    "a hidden file": (lambda a: a.writestr(entry(".x"), b""), "no name"),
    "a terminal's code": (lambda a: a.writestr(entry("\x1b[2Jx"), b""), r"\\x1b"),
    "a link": (lambda a: a.writestr(entry("x", stat.S_IFLNK), b"/etc/passwd"), "a link, a folder or a device"),
    "a device": (lambda a: a.writestr(entry("x", stat.S_IFCHR), b""), "a link, a folder or a device"),
    "a pipe": (lambda a: a.writestr(entry("x", stat.S_IFIFO), b""), "a link, a folder or a device"),
    "an empty folder": (lambda a: a.writestr(entry("x/", stat.S_IFDIR), b""), "a link, a folder or a device"),
    "twice": (lambda a: a.writestr(entry("card.md"), b""), "in it twice"),
    "twice on some disks": (lambda a: a.writestr(entry("CARD.md"), b""), "in it twice"),
    "a bomb": (lambda a: a.writestr(entry("x", method=ZIP_DEFLATED), b"\0" * (2 << 20)), "more than 100 times"),
    "another method": (lambda a: a.writestr(entry("x", method=ZIP_BZIP2), b"x"), "method 12"),
    "too many": (lambda a: [a.writestr(f"f{n}", b"") for n in range(1000)] and None, "more than 1000 files"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_no_bundle_holds_is_refused_before_anything_is_written(
    bundle_path: Path, tmp_path: Path, name: str
) -> None:
    change, told = HOSTILE[name]
    pack(open_bundle(bundle_path), tmp_path / "a.zip", silent)
    with warnings.catch_warnings(), ZipFile(tmp_path / "a.zip", "a") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of the doubled name
        change(archive)
    with pytest.raises(BundleError, match=told), open_parcel(tmp_path / "a.zip"):
        pytest.fail("it was opened")


def field(raw: bytearray, name: bytes, offset: int, form: str, value: int) -> None:
    """Set a field of the central directory's entry of a member."""
    at = raw.rindex(name) - 46 + offset
    assert raw[at - offset : at - offset + 4] == b"PK\1\2"
    struct.pack_into(form, raw, at, value)


LIES: dict[str, tuple[tuple[int, str, int], str]] = {
    "encrypted": ((8, "<H", 1), "encrypted"),
    "larger than 2 GiB": ((24, "<I", 0x80000001), "100 times|larger than 2 GiB"),
    "larger than the archive": ((20, "<I", 0x7FFFFFFF), "larger than itself"),
    "smaller than it is": ((24, "<I", 3), "no whole zip archive"),
    "larger than it is": ((24, "<I", 9), "bytes where it claims 9|no whole zip archive"),
    "another checksum": ((16, "<I", 7), "no whole zip archive"),
    "elsewhere": ((42, "<I", 11), "no whole zip archive"),
}


@pytest.mark.parametrize("name", list(LIES))
def test_an_archive_that_lies_about_a_member_is_refused(bundle_path: Path, tmp_path: Path, name: str) -> None:
    (offset, form, value), told = LIES[name]
    pack(open_bundle(bundle_path), tmp_path / "a.zip", silent)
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    field(raw, b"card.md", offset, form, value)
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(BundleError, match=told):
        unpacked(tmp_path / "a.zip", tmp_path / "out")


def test_a_directory_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with ZipFile(out, "w") as archive:
        archive.writestr("x", b"")
    raw = bytearray(out.getvalue())
    start = raw.index(b"PK\1\2")
    raw[start:start] = bytes(8 << 20)
    struct.pack_into("<I", raw, raw.rindex(b"PK\5\6") + 12, (8 << 20) + 47)
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(BundleError, match="directory is too large"), open_parcel(tmp_path / "a.zip"):
        pytest.fail("it was opened")


@pytest.mark.parametrize("make", ["link", "pipe", "folder"])
def test_a_folder_with_more_than_plain_files_is_refused(bundle_path: Path, tmp_path: Path, make: str) -> None:
    extra = bundle_path / "extra"
    if make == "link":
        extra.symlink_to(tmp_path)
    elif make == "pipe":
        os.mkfifo(extra)
    else:
        extra.mkdir()
    with pytest.raises(BundleError, match="a link, a folder or a device"), open_parcel(bundle_path):
        pytest.fail("it was opened")


def test_a_file_that_grows_or_turns_into_a_pipe_meanwhile_is_refused(bundle_path: Path, tmp_path: Path) -> None:
    with open_parcel(bundle_path) as parcel:
        (bundle_path / "card.md").write_bytes(b"longer than it was")
        with pytest.raises(BundleError, match="more than the 7 bytes it claims"):
            (tmp_path / "a").mkdir()
            parcel.unpack(tmp_path / "a", silent)
        (bundle_path / "card.md").unlink()
        os.mkfifo(bundle_path / "card.md")
        with pytest.raises(BundleError, match="no plain file any more"):
            (tmp_path / "b").mkdir()
            parcel.unpack(tmp_path / "b", silent)


@pytest.mark.parametrize("what", ["nothing", "text", "device"])
def test_what_is_neither_folder_nor_archive_is_said(tmp_path: Path, what: str) -> None:
    path = Path("/dev/zero") if what == "device" else tmp_path / what
    if what == "text":
        path.write_text("no archive")
    with pytest.raises(BundleError, match="cannot be imported"), open_parcel(path):
        pytest.fail("it was opened")
