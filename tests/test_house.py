"""The house rules that no linter checks: what the package must be able to do without its heavy parts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "onnxruntime",
    "tensorrt",
    "pycuda",
    "PyQt6",
    "pydicom",
    "pynetdicom",
    "torch",
    "onnx",
    "xgboost",
    "matplotlib",
    "scipy",
    "tritonclient",
    "grpc",
    "cryptography",
    "av",
    "linuxpy",
    "mss",
    "pyigtl",
    "gi",
    "rapidocr",
    "requests",
)
# Room packages and command lines: what a person imports or asks for help.
ENTRANCES = (
    "engines.runtimes",
    "engines.reading",
    "edge_app.cli",
    "edge_app.live.supervisor",
    "edge_app.capture.open",
    "convert.cli",
)
PACKAGES = ("engines", "convert", "edge_app")
LONGEST_MODULE = 400  # lines: what a person reads at one sitting, and one noun needs no more


def run_without(blocked: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh interpreter in which the import of ``blocked`` fails."""
    block = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ENTRANCES)
def test_importing_needs_no_heavy_library(module: str) -> None:
    done = run_without(HEAVY, f"import {module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["edge_app.cli", "convert.cli"])
def test_help_needs_no_heavy_library(module: str) -> None:
    done = run_without(HEAVY, f"import sys; sys.argv = ['x', '--help']; import {module} as c; c.main()")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def project_texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: the list of project files is not known")
    names = [ROOT / name for name in listed.stdout.splitlines()]
    return [n for n in names if n.suffix in {".py", ".md", ".toml", ".sh", ".txt", ".html", ".json"} and n.is_file()]


def test_project_text_holds_no_path_of_a_machine() -> None:
    path = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w+")
    found = [f"{t.name}: {m.group()}" for t in project_texts() for m in path.finditer(t.read_text(errors="replace"))]
    own = Path(__file__).name
    assert [line for line in found if not line.startswith(own)] == []


def test_no_module_is_longer_than_can_be_read_at_one_sitting() -> None:
    modules = [module for package in PACKAGES for module in sorted((ROOT / package).rglob("*.py"))]
    lines = {module.relative_to(ROOT).as_posix(): len(module.read_text().splitlines()) for module in modules}
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}


def test_clinical_wording_never_claims_a_diagnosis() -> None:
    """Screens and reports say value, interval and category range; never a stage, never a detection."""
    forbidden = re.compile(r"CKD detected|Stage [1-5]\b|rules out", re.IGNORECASE)
    sources = [t for t in project_texts() if t.suffix == ".py" and "tests" not in t.parts]
    found = [
        f"{t.relative_to(ROOT)}: {line.strip()}"
        for t in sources
        for line in t.read_text().splitlines()
        if (m := forbidden.search(line)) and "never" not in line.lower() and m
    ]
    assert found == []


def test_readme_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = [t for t in re.findall(r"\]\(([^)#]+)", readme) if "://" not in t]
    assert [t for t in targets if not (ROOT / t).exists()] == []
