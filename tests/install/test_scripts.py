"""Every script of packaging starts: each finds what it takes from the others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .scripts import PACKAGING

OF_THE_TOOLS = {"debian_copyright", "inside", "licences", "root_libraries", "sbom"}
"""They need an environment of their own (``make dist``), and are tried there."""
NAMES = sorted(path.stem for path in PACKAGING.glob("*.py") if path.stem not in OF_THE_TOOLS)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_can_be_imported(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"import {name}"],
        env={**os.environ, "PYTHONPATH": str(PACKAGING)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
