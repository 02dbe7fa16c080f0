"""The folder of wheels that an add-on is made of: which of them are for this Python, and whether they are whole.

Nothing is written here, and nothing of a wheel is run.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag, sys_tags
from packaging.utils import InvalidWheelFilename, NormalizedName, parse_wheel_filename
from packaging.version import Version

from edge_app.addon.known import AddOnError, kind_of

SUMS_NAME = "SHA256SUMS"
_CHUNK = 1 << 20
Advance = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class WheelPath:
    """A wheel by its name: file, canonical name, version and what it is for."""

    path: Path
    name: NormalizedName
    version: Version
    tags: frozenset[Tag]

    @property
    def told(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Found:
    """The wheels to unpack, one a name, and those that are left aside: the app has its own, or they are not for it."""

    wheels: tuple[WheelPath, ...]
    aside: tuple[WheelPath, ...]


def look_into(folder: Path) -> Found:
    """Return what of a folder is to be installed here.

    Raises
    ------
    AddOnError
        It is no folder, holds no such wheel, or one that is not for this Python, this machine or this app.
    """
    if not folder.is_dir():
        raise AddOnError(f"{folder} is not a folder", "name the folder that holds the wheels")
    all_of_them = [_parsed(path) for path in sorted(folder.glob("*.whl"))]
    known = [wheel for wheel in all_of_them if kind_of(wheel.name) is not None]
    if not known:
        raise AddOnError(f"{folder} holds no wheel of {_WANTED}", _instead(folder))
    names = sorted({wheel.name for wheel in known})
    chosen = [_best([wheel for wheel in known if wheel.name == name]) for name in names]
    for wheel in chosen:
        _check_version(wheel)
    kinds = [kind for wheel in chosen if (kind := kind_of(wheel.name)) is not None]
    if not any(kind.of_use_alone for kind in kinds):
        raise AddOnError(f"{folder} holds no wheel of {_WANTED}", _instead(folder))
    aside = tuple(wheel for wheel in all_of_them if wheel not in chosen)
    return Found(tuple(chosen), aside)


_WANTED = "TensorRT, TensorRT for RTX, ONNX Runtime for GPUs, cuda-bindings or pycuda"


def _instead(folder: Path) -> str:
    """Return what to do about a folder without the wheels; a source package is no wheel."""
    sources = sorted(path.name for path in folder.glob("*.tar.gz"))
    if sources:
        return f"make a wheel of {sources[0]} with `pip wheel` on a computer with Python {python()}"
    return "fill it with `pip wheel` on another computer, as docs/installing.md says"


def _parsed(path: Path) -> WheelPath:
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        because = f"{path.name} is not how a wheel is called"
        raise AddOnError(because, "give the file its name back, or take it out of the folder") from error
    return WheelPath(path, name, version, tags)


def _best(wheels: list[WheelPath]) -> WheelPath:
    """Return the newest that fits here, and of two of them the one that fits best."""
    ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
    fitting = [wheel for wheel in wheels if any(tag in ranks for tag in wheel.tags)]
    if not fitting:
        raise _unfit(wheels[0])
    return max(fitting, key=lambda wheel: (wheel.version, -min(ranks.get(tag, len(ranks)) for tag in wheel.tags)))


def _unfit(wheel: WheelPath) -> AddOnError:
    pythons = {(tag.interpreter, tag.abi) for tag in sys_tags()}
    what_for = " or ".join(sorted({tag.interpreter for tag in wheel.tags}))
    if not any((tag.interpreter, tag.abi) in pythons for tag in wheel.tags):
        because = f"{wheel.path.name} is for {what_for}, and this app has Python {python()}"
        return AddOnError(because, f"bring the wheel that has cp{python().replace('.', '')} in its name")
    machine = " or ".join(sorted({tag.platform for tag in wheel.tags}))
    libc = " ".join(platform.libc_ver()).strip()
    because = f"{wheel.path.name} is for {machine}, and this machine is {platform.system()} {platform.machine()} {libc}"
    return AddOnError(because.rstrip(), "bring the wheel for this machine")


def _check_version(wheel: WheelPath) -> None:
    kind = kind_of(wheel.name)
    if kind is not None and not kind.versions.contains(wheel.version, prereleases=True):
        because = f"this EchoGFR goes with {wheel.name} {kind.versions}, and {wheel.path.name} is {wheel.version}"
        raise AddOnError(because, "bring a version of that range")


def python() -> str:
    """Return the version that wheels are called after: 3.11."""
    return ".".join(platform.python_version_tuple()[:2])


def checksums(folder: Path, wheels: Iterable[WheelPath], advance: Advance) -> dict[Path, str]:
    """Return the SHA-256 of each wheel, compared with the folder's SHA256SUMS where there is one.

    Raises
    ------
    AddOnError
        A wheel is not what that file says, or is not in it.
    """
    listed = _listed(folder / SUMS_NAME)
    lost = next((name for name in listed or () if name.endswith(".whl") and not (folder / name).is_file()), None)
    if lost is not None:
        raise AddOnError(f"{lost}, which {SUMS_NAME} lists, is missing", "copy the folder again")
    wheels = list(wheels)
    total = sum(wheel.path.stat().st_size for wheel in wheels)
    done, sums = 0, {}
    for wheel in wheels:
        digest = hashlib.sha256()
        with wheel.path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                advance(done, total)
        sums[wheel.path] = digest.hexdigest()
        if listed is not None:
            _compare(wheel.path.name, sums[wheel.path], listed)
    return sums


def _compare(name: str, sha256: str, listed: dict[str, str]) -> None:
    if name not in listed:
        raise AddOnError(f"{SUMS_NAME} does not list {name}", "bring the folder as it was made")
    if listed[name] != sha256:
        raise AddOnError(f"{name} is not the file that {SUMS_NAME} lists", "copy the folder again")


def _listed(path: Path) -> dict[str, str] | None:
    """Return the file's lines as name and sum; None: there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise AddOnError(f"{path} cannot be read", "copy the folder again") from error
    parts = [line.split(maxsplit=1) for line in lines if line.strip()]
    if any(len(part) != 2 or len(part[0]) != 64 for part in parts):
        raise AddOnError(f"{path} is not what sha256sum writes", "copy the folder again")
    return {name.lstrip("*").removeprefix("./"): digest.lower() for digest, name in parts}
