"""Reads npz archives of plain arrays: nothing is unpickled, and nothing unpacks to more than there is room for."""

from __future__ import annotations

import io
from tokenize import TokenError
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from engines.errors import BundleError

LIMIT_BYTES = 1 << 28  # unpacked; golden crops and a domain check take a few MiB
# What zipfile, zlib and numpy raise for archives that are damaged, encrypted, or made to do harm.
_FAULTS = (
    OSError, ValueError, EOFError, BadZipFile, ZlibError, AttributeError, TypeError, KeyError, IndexError,
    NotImplementedError, RuntimeError, OverflowError, MemoryError, SyntaxError, TokenError,
)  # fmt: skip


def parse_npz(raw: bytes, name: str) -> dict[str, NDArray[np.generic]]:
    """Return all arrays of an npz archive by name; ``name`` is what a person knows it by.

    Raises
    ------
    BundleError
        It is no npz, unpacks to more than 256 MiB, or holds anything but plain arrays.
    """
    try:
        with ZipFile(io.BytesIO(raw)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked <= LIMIT_BYTES:
                return _arrays(archive)
    except _FAULTS as error:
        raise _refused(name, "it is not an npz of plain arrays", error) from error
    raise _refused(name, f"it unpacks to {unpacked} bytes where {LIMIT_BYTES} are allowed")


def _arrays(archive: ZipFile) -> dict[str, NDArray[np.generic]]:
    arrays = {}
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            raise ValueError(f"{member.filename} is no array")
        with archive.open(member) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):
                raise ValueError(f"{member.filename} holds more than its array")
            arrays[member.filename[: -len(".npy")]] = array
    return arrays


def _refused(name: str, because: str, error: Exception | None = None) -> BundleError:
    lines = str(error).splitlines()
    cause = "" if error is None else f" ({lines[0] if lines else type(error).__name__})"
    return BundleError(f"The file {name} cannot be read", because + cause, "convert again")
