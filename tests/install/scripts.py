"""The scripts of packaging/ as modules, and small repositories and environments to run them on."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


def script(name: str) -> ModuleType:
    """Return packaging/NAME.py as a module; what it imports from beside itself is found as when it is run."""
    sys.path.insert(0, str(PACKAGING))
    try:
        spec = importlib.util.spec_from_file_location(f"packaging_script_{name}", PACKAGING / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look themselves up there
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(PACKAGING))


def git(folder: Path, *words: str) -> str:
    """Run git in ``folder`` as a person of no account, at a fixed time; return what it says."""
    person = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    told = {"NAME": "T", "EMAIL": "t@example.org", "DATE": "1700000000 +0000"}
    person |= {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in told.items()}
    done = subprocess.run(
        ["git", "-C", folder, *words], env=os.environ | person, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
