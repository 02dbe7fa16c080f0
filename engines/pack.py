"""Writes a bundle to one zip archive: the same bundle, the same bytes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from engines.bundle import Bundle
from engines.consistency import MANIFEST_NAME, SIGNATURE_NAME, listed_files
from engines.errors import BundleError
from engines.manifest import FileRef
from engines.parcel import Moved
from engines.signature import read_signature

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can say
_CHUNK_BYTES = 1 << 20


def pack(bundle: Bundle, target: Path, moved: Moved) -> None:
    """Write an opened bundle, and its signature, to one zip archive: the same bundle, the same bytes.

    Stored, not compressed: weights hardly shrink, and another zlib would write other bytes.

    Raises
    ------
    BundleError
        ``target`` cannot be written, or a file was changed since the bundle was opened.
    SignatureError
        There is a signature that cannot be read.
    """
    refs = sorted(listed_files(bundle.manifest), key=lambda ref: ref.file)
    total, done, signature = sum(ref.size_bytes for ref in refs), 0, read_signature(bundle.path)
    target = target.absolute()
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with ZipFile(draft, "w", ZIP_STORED) as archive:
            archive.writestr(_entry(MANIFEST_NAME), bundle.manifest_bytes())
            if signature is not None:
                archive.writestr(_entry(SIGNATURE_NAME), signature)
            for ref in refs:
                _add(archive, bundle, ref)
                done += ref.size_bytes
                moved(done, total)
        os.replace(draft, target)
    except OSError as error:
        because = f"it cannot be written ({error.strerror})"
        raise BundleError(f"The bundle cannot be packed to {target}", because, "choose another place") from error
    finally:
        draft.unlink(missing_ok=True)


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, on every system: it says how the next line is read
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def _add(archive: ZipFile, bundle: Bundle, ref: FileRef) -> None:
    entry, digest = _entry(ref.file), hashlib.sha256()
    entry.file_size = ref.size_bytes
    with bundle.file(ref.file).open("rb") as stream, archive.open(entry, "w") as copy:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != ref.sha256:
        because = f"{ref.file} was changed while it was read"
        raise BundleError(f"The bundle {bundle.path} cannot be packed", because, "pack it again")
