"""What a GPU add-on may hold: names of wheels, the versions that ``engines`` goes with, and what they may contain."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from engines.errors import EchoGFRError

WHAT = "The GPU add-on cannot be installed"


class AddOnError(EchoGFRError):
    """A GPU add-on cannot be installed as it lies there."""

    def __init__(self, because: str, cure: str) -> None:
        super().__init__(WHAT, because, cure)


@dataclass(frozen=True, slots=True)
class _Kind:
    names: re.Pattern[str]
    versions: SpecifierSet
    runs_engines: bool = False
    reaches_gpu: bool = False
    of_use_alone: bool = False


def _kind(names: str, versions: str, **roles: bool) -> _Kind:
    return _Kind(re.compile(names), SpecifierSet(versions), **roles)


# The ranges are those of the extras in pyproject.toml; a test compares them. Names as packaging canonicalises them.
KINDS = (
    _kind(r"tensorrt(-cu\d+)?(-libs|-bindings)?", ">=10.3,<12", runs_engines=True, of_use_alone=True),
    _kind(r"tensorrt-rtx(-cu\d+)?(-libs|-bindings)?", ">=1.7.1,<2", runs_engines=True, of_use_alone=True),
    _kind(r"cuda-bindings", ">=12.6,<14", reaches_gpu=True, of_use_alone=True),
    _kind(r"cuda-python", ">=12.6,<14"),
    _kind(r"pycuda", ">=2024.1", reaches_gpu=True, of_use_alone=True),
    _kind(r"onnxruntime-gpu", ">=1.21,<2", of_use_alone=True),
    _kind(r"cuda-(core|pathfinder|toolkit)|nvidia-[a-z0-9-]+", ""),
    _kind(r"pytools|mako|markupsafe|siphash24", ""),  # what pycuda imports
)
# What a wheel may put beside the app's own modules. The path is searched before theirs: nothing may stand in for them.
_TOP = re.compile(
    r"(tensorrt|cuda|nvidia|onnxruntime|pycuda|pytools|mako|markupsafe|siphash24)(_[a-z0-9_]+)?(\.libs)?"
    r"|[A-Za-z0-9_.+!]+-[A-Za-z0-9_.+!]+\.dist-info"
)


def kind_of(name: str) -> _Kind | None:
    """Return what is known of a wheel with this canonical name; None: it has no place in an add-on."""
    return next((kind for kind in KINDS if kind.names.fullmatch(name)), None)


def stranger(paths: list[str], data: str) -> str | None:
    """Return the first path of a wheel that lies neither in one of these libraries nor in its metadata; None: all do.

    ``data``: the folder of the wheel whose second level says where its parts go.
    """
    for path in paths:
        parts = path.split("/")
        if parts[0] == data:
            if parts[1:2] not in (["purelib"], ["platlib"]):
                continue  # programs and headers, which are not unpacked
            parts = parts[2:]
        if len(parts) < 2 or ".." in parts or not _TOP.fullmatch(parts[0]):
            return path
    return None
