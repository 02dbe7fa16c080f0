"""Versions of what made a bundle, for its manifest."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "echogfr",
    "numpy",
    "opencv-python-headless",
    "onnx",
    "onnxruntime",
    "torch",
    "torchvision",
    "xgboost-cpu",
    "xgboost",
)


def tool_versions() -> dict[str, str]:
    """Return name and version of Python and of each installed package that has a hand in a bundle."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
