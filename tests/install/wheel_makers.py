"""Makes wheels: small ones of given files, good or spoilt, and real ones of what is installed here."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path

PURE = "py3-none-any"


def record_line(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{path},sha256={digest},{len(data)}"


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = PURE,
    requires: Sequence[str] = (),
    python: str = ">=3.8",
    calls_itself: str | None = None,
    lies_about: str | None = None,
) -> Path:
    """Write a wheel; ``lies_about``: a file whose hash in the record is another's."""
    stem = name.replace("-", "_")
    files = {f"{stem}/__init__.py": b"", **{}} if files is None else files
    info = f"{stem}-{version}.dist-info"
    about = ["Metadata-Version: 2.1", f"Name: {calls_itself or name}", f"Version: {version}"]
    about += [f"Requires-Python: {python}", *(f"Requires-Dist: {one}" for one in requires)]
    whole = {
        **files,
        f"{info}/METADATA": "\n".join([*about, "", ""]).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = [record_line(path, b"other" if path == lies_about else data) for path, data in whole.items()]
    whole[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, data in whole.items():
            archive.writestr(inside, data)
    return path


def rewheel(folder: Path, distribution: Distribution) -> Path:
    """Write the wheel that an installed distribution came from, without what pip and Python added to it."""
    name, version = distribution.metadata["Name"].replace("-", "_"), distribution.version
    tags = [line[5:] for line in (distribution.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: ")]
    info = f"{name}-{version}.dist-info"
    added = {f"{info}/{one}" for one in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")}
    parts = {
        str(file): file.locate()
        for file in distribution.files or ()
        if file.hash is not None and not str(file).startswith("..") and str(file) not in added
    }
    path = folder / f"{name}-{version}-{tags[0]}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        lines = []
        for inside, there in parts.items():
            data = Path(str(there)).read_bytes()
            archive.writestr(inside, data)
            lines.append(record_line(inside, data))
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
    return path
