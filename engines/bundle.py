"""Opens a bundle: a directory that holds one model and everything that there is to know about it.

Nothing is trusted before its SHA-256 matches the manifest, and nothing beside the listed files and a signature
may lie in the directory. No file of a bundle is ever unpickled.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from engines.consistency import MANIFEST_NAME, SIGNATURE_NAME, contradictions, listed_files
from engines.errors import BundleError
from engines.manifest import SCHEMA_VERSION, Artifact, BundleManifest, Family, FileRef, Precision
from engines.npz import parse_npz

MANIFEST_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_CONVERT_AGAIN = "convert the model again with this version of the program"
_COPY_AGAIN = "copy the bundle again from where it came from"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. ``sha256`` is of the bytes of ``manifest.json`` and so stands for all files."""

    path: Path
    manifest: BundleManifest
    sha256: str

    def file(self, name: str) -> Path:
        """Return the path of a listed file.

        Raises
        ------
        BundleError
            The manifest does not list it.
        """
        return self.path / self._listed(name).file

    def read(self, name: str) -> bytes:
        """Return the bytes of a listed file, verified once more: what was checked is what is used.

        Raises
        ------
        BundleError
            The manifest does not list it, or it was changed since the bundle was opened.
        """
        ref = self._listed(name)
        try:
            with (self.path / name).open("rb") as stream:
                raw = stream.read(ref.size_bytes + 1)
        except OSError as error:
            raise _cannot_open(self.path, f"{name} cannot be read ({error.strerror})", _COPY_AGAIN) from error
        if len(raw) != ref.size_bytes or hashlib.sha256(raw).hexdigest() != ref.sha256:
            raise _cannot_open(self.path, f"{name} was changed after the bundle was checked", _COPY_AGAIN)
        return raw

    def manifest_bytes(self) -> bytes:
        """Return the bytes of ``manifest.json``: those that were verified.

        Raises
        ------
        BundleError
            It was changed since the bundle was opened.
        """
        raw = _manifest_bytes(self.path)
        if hashlib.sha256(raw).hexdigest() != self.sha256:
            raise _cannot_open(self.path, f"{MANIFEST_NAME} was changed after the bundle was checked", _COPY_AGAIN)
        return raw

    def _listed(self, name: str) -> FileRef:
        refs = {ref.file: ref for ref in listed_files(self.manifest)}
        if name not in refs:
            raise BundleError(
                f"'{name}' cannot be taken from the bundle {self.manifest.bundle_id}",
                f"it lists only {', '.join(sorted(refs))}",
                "ask for one of these",
            )
        return refs[name]

    def artifacts(self, precision: Precision, family: Family) -> tuple[Artifact, ...]:
        """Return what runs at a precision for a family; artifacts of family ``any`` serve every family.

        That is the one artifact in which all members are fused, or one for each member, in their order.

        Raises
        ------
        BundleError
            There is none; the sentence lists those there are.
        """
        for wanted in (family, "any"):
            found = [a for a in self.manifest.artifacts if (a.precision, a.family) == (precision, wanted)]
            if found:
                return tuple(sorted(found, key=lambda artifact: artifact.member or 0))
        there = ", ".join(dict.fromkeys(f"{a.precision} for {a.family}" for a in self.manifest.artifacts))
        raise BundleError(
            f"The bundle {self.manifest.bundle_id} cannot run at {precision} for {family}",
            f"it holds only {there}",
            "ask for one of these or convert the model again",
        )

    def artifact(self, precision: Precision, family: Family) -> Artifact:
        """Return the one file that runs the whole model; ``artifacts`` serves members in separate files as well.

        Raises
        ------
        BundleError
            There is none, or the members were left as separate artifacts.
        """
        found = self.artifacts(precision, family)
        if len(found) > 1:
            raise BundleError(
                f"The bundle {self.manifest.bundle_id} cannot be run from one file at {precision} for {family}",
                f"its {len(found)} members were left as separate artifacts",
                "convert the model again with its members fused",
            )
        return found[0]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Golden vectors: ``crops`` uint8 (K, H, W, 3), and what fp32 answered, float32 (K, ...) by output name."""

    crops: NDArray[np.uint8]
    outputs: dict[str, NDArray[np.float32]]


def open_bundle(path: Path | str) -> Bundle:
    """Open a bundle and verify every file of it: kind, size and SHA-256.

    Raises
    ------
    BundleError
        One sentence with *all* the defects that were found.
    """
    root = Path(path)
    raw = _manifest_bytes(root)
    manifest = parse_manifest(root, raw)
    nonsense = list(contradictions(manifest))
    defects = [*nonsense, *_stranger_defects(root, manifest)]
    defects += [defect for ref in listed_files(manifest) if (defect := _file_defect(root, ref))]
    if defects:
        raise _cannot_open(root, "; ".join(defects), _CONVERT_AGAIN if nonsense else _COPY_AGAIN)
    return Bundle(root, manifest, hashlib.sha256(raw).hexdigest())


def load_golden(bundle: Bundle) -> Golden:
    """Load the golden vectors and check them against the manifest's input and outputs.

    Raises
    ------
    BundleError
        The file is not the npz that the manifest promises.
    """
    name = bundle.manifest.golden.file
    arrays = parse_npz(bundle.read(name), name)
    crops = arrays.get("crops")
    names = [output.name for output in bundle.manifest.outputs]
    size = (bundle.manifest.input.height, bundle.manifest.input.width, 3)
    if crops is None or crops.dtype != np.uint8 or crops.shape[1:] != size or len(crops) == 0:
        raise _bad_golden(bundle, f"'crops' is not uint8 (K, {', '.join(map(str, size))}) with K >= 1")
    for output in bundle.manifest.outputs:
        fault = _golden_fault(arrays.get(output.name), (len(crops), *output.shape))
        if fault:
            raise _bad_golden(bundle, f"'{output.name}' {fault}")
    return Golden(crops.astype(np.uint8, copy=False), {name: arrays[name].astype(np.float32) for name in names})


def _golden_fault(array: NDArray[np.generic] | None, shape: tuple[int, ...]) -> str | None:
    if array is None:
        return "is not there"
    if array.dtype.kind != "f" or array.shape != shape:
        return f"is {array.dtype} {array.shape} instead of float {shape}"
    return None if np.all(np.isfinite(array.astype(np.float32))) else "holds values that are not finite"


def _manifest_bytes(root: Path) -> bytes:
    cure = f"name a directory that holds {MANIFEST_NAME}"
    if not root.is_dir():
        because = "it is a file and a bundle is a directory" if root.is_file() else "there is no such directory"
        raise _cannot_open(root, because, cure)
    path = root / MANIFEST_NAME
    try:
        status = path.lstat()
    except OSError as error:
        raise _cannot_open(root, f"it has no readable {MANIFEST_NAME}", cure) from error
    if not stat.S_ISREG(status.st_mode):
        raise _cannot_open(root, f"{MANIFEST_NAME} is not a regular file", "copy the bundle with its real files")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MANIFEST_LIMIT_BYTES + 1)
    except OSError as error:
        raise _cannot_open(root, f"{MANIFEST_NAME} cannot be read ({error.strerror})", "check its rights") from error
    if len(raw) > MANIFEST_LIMIT_BYTES:
        raise _cannot_open(root, f"{MANIFEST_NAME} is larger than 1 MiB", "convert the model again")
    return raw


def parse_manifest(root: Path, raw: bytes) -> BundleManifest:
    """Return the manifest in these bytes, valid field by field; ``root`` is what a person knows the bundle by.

    Raises
    ------
    BundleError
        They are not a manifest of this version.
    """
    try:
        return BundleManifest.model_validate_json(raw)
    except ValidationError as error:
        if any(fault["loc"] == ("schema_version",) and fault["type"] == "literal_error" for fault in error.errors()):
            cause = f"its format is not version {SCHEMA_VERSION}, the one that this program reads"
            raise _cannot_open(root, cause, "update the program, or convert the model again with this one") from error
        cause = f"{MANIFEST_NAME} is not valid ({_explain(error)})"
        cut = any(fault["type"] == "json_invalid" for fault in error.errors())  # no program wrote it so
        cure = "copy the bundle again from where it came from" if cut else _CONVERT_AGAIN
        raise _cannot_open(root, cause, cure) from error


def _explain(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in found[:4]]
    if len(found) > len(told):
        told.append(f"and {len(found) - len(told)} more")
    return "; ".join(told)


def _stranger_defects(root: Path, manifest: BundleManifest) -> Iterator[str]:
    known = {MANIFEST_NAME, SIGNATURE_NAME, *(ref.file for ref in listed_files(manifest))}
    try:
        names = sorted(entry.name for entry in root.iterdir())
    except OSError as error:
        yield f"the directory cannot be listed ({error.strerror})"
        return
    for name in names:
        if name not in known:
            yield f"{name} is not listed in the manifest"


def _file_defect(root: Path, ref: FileRef) -> str | None:
    path = root / ref.file
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return f"{ref.file} is not a regular file"
        if status.st_size != ref.size_bytes:
            return f"{ref.file} has {status.st_size} bytes instead of {ref.size_bytes}"
        return None if _sha256(path) == ref.sha256 else f"{ref.file} was changed (its SHA-256 differs)"
    except FileNotFoundError:
        return f"{ref.file} is missing"
    except OSError as error:
        return f"{ref.file} cannot be read ({error.strerror})"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _cannot_open(root: Path, because: str, cure: str) -> BundleError:
    return BundleError(f"The bundle {root} cannot be opened", because, cure)


def _bad_golden(bundle: Bundle, because: str) -> BundleError:
    return BundleError(
        f"The golden vectors of {bundle.manifest.bundle_id} cannot be used", because, "convert the model again"
    )
