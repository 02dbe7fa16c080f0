"""What is installed, in lines that a person can paste into a report of a fault."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "tensorrt", "pydantic")
CHECKOUT = Path(__file__).resolve().parents[1]


@cache
def program_version() -> str:
    """Return the version of EchoGFR: of the checkout whose files run here, else of what is installed, else "unknown".

    What pip wrote down at an editable install is the version of that day, whatever was committed since: in a
    checkout its own script is asked, as the build asks it, so that a record names the commit that made it.
    """
    return checkout_version(CHECKOUT) or installed_version("echogfr") or "unknown"


def checkout_version(folder: Path) -> str | None:
    """Return the version that git gives the checkout in ``folder``; None: it is none."""
    script = folder / "packaging" / "version.py"
    if not ((folder / ".git").exists() and (folder / "pyproject.toml").is_file() and script.is_file()):
        return None
    spec = importlib.util.spec_from_file_location("_echogfr_checkout_version", script)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.version(folder))


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
