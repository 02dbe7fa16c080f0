"""What is installed, in lines that a person can paste into a report of a fault."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "tensorrt", "pydantic")


def program_version() -> str:
    """Return the version of EchoGFR, or "unknown" when it is run from sources that were not installed."""
    return installed_version("echogfr") or "unknown"


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution without importing it; None: not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def version_lines(libraries: Sequence[str] = LIBRARIES) -> tuple[str, ...]:
    """Return one line each for the program, Python, the system and the named distributions."""
    first = (
        f"EchoGFR {program_version()}",
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
    )
    return (*first, *(f"{name} {installed_version(name) or 'not installed'}" for name in libraries))
