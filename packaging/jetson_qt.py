"""Leaves of Qt, in a Jetson's environment, what the app uses: its wheel has half a desktop and half a browser besides.

What is left would make the package depend on libraries that the device may not have, or that no release has any more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

MODULES = ("QtCore", "QtGui", "QtWidgets", "QtDBus")
PLUGINS = (
    "platforms/libqxcb*",
    "platforms/libqwayland*",
    "platforms/libqoffscreen*",
    "platforms/libqminimal.so",
    "imageformats/libqjpeg*",
    "imageformats/libqgif*",
    "imageformats/libqico*",
    "platforminputcontexts/*",
    "platformthemes/libqxdgdesktopportal*",
    "xcbglintegrations/*",
    "wayland-*/*",
)


def trim(pyqt: Path) -> None:
    """Remove all of PyQt6's folder but the modules above, those plugins, and the libraries that these need."""
    qt = pyqt / "Qt6"
    plugins = {path for pattern in PLUGINS for path in (qt / "plugins").glob(pattern)}
    modules = {path for name in MODULES for path in pyqt.glob(f"{name}.*")}
    libraries = closure([*plugins, *(path for path in modules if path.suffix == ".so")], qt / "lib")
    kept = plugins | modules | libraries | set(pyqt.glob("sip.*")) | set(pyqt.glob("*.py"))
    for path in sorted(pyqt.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept and path.name != "py.typed":
            path.unlink()
    shutil.rmtree(pyqt / "__pycache__", ignore_errors=True)


def closure(roots: Iterable[Path], folder: Path) -> set[Path]:
    """Return what of a folder of libraries the roots need, and what that needs."""
    found: set[Path] = set()
    todo = list(roots)
    while todo:
        for name in needed(todo.pop()):
            path = folder / name
            if path.exists() and path not in found:
                found.add(path)
                todo.append(path)
    return found


def needed(library: Path) -> list[str]:
    """Return the names that a library asks the loader for."""
    done = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=False)
    return re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout)
