"""What wheels need of each other: each requirement is met by the folder, or by what the app has itself."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from edge_app.addon.folder import WheelPath
from edge_app.addon.known import AddOnError, kind_of

_LAYERS = ("cuda.bindings", "pycuda")


def check_needs(wheels: Mapping[WheelPath, Message]) -> None:
    """Look at what each wheel requires.

    Raises
    ------
    AddOnError
        Another Python, a wheel that is missing or of another version, or nothing that reaches the GPU's memory.
    """
    there: dict[str, WheelPath] = {wheel.name: wheel for wheel in wheels}
    for wheel, about in wheels.items():
        _check_python(wheel, about.get("Requires-Python", ""))
        for text in about.get_all("Requires-Dist", []):
            _check_requirement(wheel, _read(wheel, text), there)
    _check_layer(wheels)


def _check_python(wheel: WheelPath, wanted: str) -> None:
    try:
        fits = SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier as error:
        raise _damaged(wheel, wanted) from error
    if not fits:
        because = f"{wheel.path.name} is for Python {wanted}, and this app has Python {platform.python_version()}"
        raise AddOnError(because, "bring the wheel for this Python")


def _read(wheel: WheelPath, text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise _damaged(wheel, text) from error


def _damaged(wheel: WheelPath, text: str) -> AddOnError:
    return AddOnError(f"{wheel.path.name} asks for '{text}', which has no meaning", "get the wheel from its maker")


def _check_requirement(wheel: WheelPath, wanted: Requirement, there: Mapping[str, WheelPath]) -> None:
    """Look at one requirement that holds here without any extra."""
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return
    name = canonicalize_name(wanted.name)
    found = str(there[name].version) if name in there else _of_the_app(name)
    if found is None:
        raise AddOnError(f"{wheel.told} needs {_told(wanted)}, which is not in the folder", "add its wheel")
    if not wanted.specifier.contains(found, prereleases=True):
        where = "in the folder" if name in there else "in the app"
        cure = "bring wheels that go together" if kind_of(name) else "bring a version of it that goes with this app"
        raise AddOnError(f"{wheel.told} needs {_told(wanted)}, and {found} is {where}", cure)


def _told(wanted: Requirement) -> str:
    return f"{wanted.name} {wanted.specifier}".strip()


def _of_the_app(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _check_layer(wheels: Mapping[WheelPath, Message]) -> None:
    """TensorRT computes, but does not copy: one of two libraries must reach the GPU's memory."""
    kinds = [(wheel, kind) for wheel in wheels if (kind := kind_of(wheel.name)) is not None]
    engines = [wheel for wheel, kind in kinds if kind.runs_engines]
    if not engines or any(kind.reaches_gpu for _, kind in kinds) or any(_is_there(name) for name in _LAYERS):
        return
    because = f"{engines[0].told} needs cuda-bindings or pycuda to reach the GPU's memory, and neither is there"
    raise AddOnError(because, "add the wheel of cuda-bindings")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False
