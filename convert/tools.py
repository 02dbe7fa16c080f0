"""Versions of what made a bundle, for its manifest."""

from __future__ import annotations

import platform

from engines.version import installed_version, program_version

PACKAGES = (
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
    """Return name and version of Python, EchoGFR and each installed package that has a hand in a bundle."""
    own = {"python": platform.python_version(), "echogfr": program_version()}
    return own | {name: told for name in PACKAGES if (told := installed_version(name))}
