"""The scripts of packaging/ as modules, and small repositories and environments to run them on."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

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


def tool(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the tools that make distributions, without this checkout on its path; skip without them."""
    python = ROOT / ".cache" / "dist-tools" / "bin" / "python"
    if not python.exists():
        pytest.skip("the tools that make distributions are not installed: make .cache/dist-tools/.installed")
    quiet = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([python, *words], env=quiet | variables, capture_output=True, text=True, check=False)


def installed(environment: Path, name: str, *metadata: str, **files: str) -> Path:
    """Write a distribution as pip leaves it, return where; ``files``: path, with ``__`` for each slash, and text."""
    site = environment / "lib" / "python3.11" / "site-packages"
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    written = {name.replace("__", "/"): text for name, text in files.items()}
    written[f"{info.name}/METADATA"] = "\n".join(
        ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *metadata, ""]
    )
    for path, text in written.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in written.items()}
    lines = [f"{path},sha256={sums[path]},{len(text)}" for path, text in written.items()]
    (info / "RECORD").write_text("\n".join([*lines, f"{info.name}/RECORD,,", ""]))
    return site
