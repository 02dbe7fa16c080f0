"""The package of a Jetson, as far as it can be tested without one: what is found of JetPack, on stand-ins.

The names of packages and paths are JetPack's: L4T R36 has TensorRT 10.3 and OpenCV 4.8, L4T R39 has TensorRT 10.16.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from tests.install.scripts import PACKAGING, script

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
MODULES = f"usr/lib/{PYTHON}/dist-packages"
CUDA = "usr/local/cuda/include/cuda.h"
ORIN = {
    "nvidia-l4t-core": ("36.4.3-20250107174145", ["etc/nv_tegra_release"]),
    "nvidia-l4t-cuda": ("36.4.3-20250107174145", ["usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1"]),
    "python3-libnvinfer": ("10.3.0.30-1+cuda12.5", [f"{MODULES}/tensorrt", f"{MODULES}/tensorrt/__init__.py"]),
    "libopencv-python": ("4.8.0-1-g6371ee1", [f"{MODULES}/cv2", f"{MODULES}/cv2/__init__.py"]),
    "cuda-cudart-dev-12-6": ("12.6.68-1", [CUDA]),
}
pytestmark = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg-query, which is asked, is not here")


@pytest.fixture(scope="module")
def stage() -> ModuleType:
    return script("jetson_stage")


Layout = dict[str, tuple[str, list[str]]]


def machine(root: Path, layout: Layout) -> Path:
    """Lay out files and the list of packages that they are from."""
    info = root / "var" / "lib" / "dpkg" / "info"
    info.mkdir(parents=True)
    (info / "format").write_text("1\n")
    entries = []
    for name, (version, paths) in layout.items():
        fields = f"Package: {name}\nStatus: install ok installed\nArchitecture: arm64\nVersion: {version}\n"
        entries.append(f"{fields}Maintainer: NVIDIA\nDescription: stand-in\n")
        (info / f"{name}.list").write_text("".join(f"/{path}\n" for path in paths))
        for path in paths:
            place = root / path
            place.mkdir(parents=True) if "." not in place.name else place.parent.mkdir(parents=True, exist_ok=True)
            if "." in place.name:
                place.write_text("")
    (info.parent / "status").write_text("\n".join(entries))
    return root


def test_a_jetson_s_package_depends_on_what_jetpack_calls_its_own(stage: ModuleType, tmp_path: Path) -> None:
    found = stage.find_jetpack(False, True, machine(tmp_path, ORIN))
    assert (found.release, found.tensorrt.path) == ("6", Path(f"/{MODULES}/tensorrt"))
    minor = sys.version_info.minor
    assert stage.depends(found) == (
        f"python3 (>= 3.{minor})",
        f"python3 (<< 3.{minor + 1})",
        "nvidia-l4t-cuda (>= 36.4.3-20250107174145)",
        "python3-libnvinfer (>= 10.3.0.30-1+cuda12.5)",
        "python3-libnvinfer (<< 12~)",
    )


def test_an_opencv_that_is_too_old_is_left_and_said(stage: ModuleType, tmp_path: Path) -> None:
    found = stage.find_jetpack(False, True, machine(tmp_path, ORIN))
    assert found.opencv is None
    assert "libopencv-python 4.8.0-1-g6371ee1 is older than 4.9" in found.note


def test_a_newer_opencv_of_jetpack_is_used_and_depended_on(stage: ModuleType, tmp_path: Path) -> None:
    newer = {**ORIN, "libopencv-python": ("4.10.0-1", ORIN["libopencv-python"][1])}
    found = stage.find_jetpack(False, True, machine(tmp_path, newer))
    assert found.opencv.path == Path(f"/{MODULES}/cv2")
    assert "libopencv-python (>= 4.10.0-1)" in found.depends


def test_jetpack_7_is_known(stage: ModuleType, tmp_path: Path) -> None:
    thor: Layout = {
        **ORIN,
        "nvidia-l4t-core": ("39.2.1-20260701", ["etc/nv_tegra_release"]),
        "python3-libnvinfer": ("10.16.2.10-1+cuda13.2", ORIN["python3-libnvinfer"][1]),
    }
    assert stage.find_jetpack(False, True, machine(tmp_path, thor)).release == "7"


def without(*names: str) -> Callable[[], Layout]:
    return lambda: {name: told for name, told in ORIN.items() if name not in names}


def with_version(name: str, version: str) -> Callable[[], Layout]:
    return lambda: {**ORIN, name: (version, ORIN[name][1])}


@pytest.mark.parametrize(
    ("layout", "because"),
    [
        (without("nvidia-l4t-core"), "this is no Jetson: nvidia-l4t-core is not installed: run it there, or give "),
        (with_version("nvidia-l4t-core", "35.6.0-2024"), "L4T 35.6.0-2024 is of no JetPack that it is made for"),
        (without("python3-libnvinfer"), "TensorRT is not installed for Python: apt-get install python3-libnvinfer."),
        (with_version("python3-libnvinfer", "8.6.2.3-1"), "goes with TensorRT 10.3 to 11, and here is 8.6.2.3-1"),
        (with_version("python3-libnvinfer", "10.2.0.19-1"), "goes with TensorRT 10.3 to 11, and here is 10.2.0.19-1"),
        (without("nvidia-l4t-cuda"), "libcuda.so.1 is not installed: apt-get install nvidia-l4t-cuda."),
        (
            without("cuda-cudart-dev-12-6"),
            "cuda.h is missing: apt-get install nvidia-jetpack, or give --without-pycuda",
        ),
    ],
)
def test_what_is_missing_of_jetpack_is_one_sentence(
    layout: Callable[[], Layout], because: str, stage: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        stage.find_jetpack(False, True, machine(tmp_path, layout()))
    said = str(ended.value)
    assert said.startswith("The package of a Jetson cannot be built, because ")
    assert because in said
    assert "\n" not in said


def test_no_compiler_s_headers_are_needed_without_pycuda(stage: ModuleType, tmp_path: Path) -> None:
    assert stage.find_jetpack(False, False, machine(tmp_path, without("cuda-cudart-dev-12-6")())) is not None


def test_only_jetpack_s_own_modules_are_seen_from_inside(
    stage: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(tmp_path / "root", {**ORIN, "libopencv-python": ("4.10.0-1", ORIN["libopencv-python"][1])})
    for name in ("tensorrt-10.3.0.dist-info", "torch", "numpy"):
        (root / MODULES / name).mkdir()
    found = stage.find_jetpack(False, True, root)
    here = {
        part: stage.Part(root / getattr(found, part).path.relative_to("/"), "p", "1") for part in ("tensorrt", "opencv")
    }
    jetpack = stage.JetPack("6", here["tensorrt"], found.driver, here["opencv"], "")
    environment = stage.Environment(tmp_path / "venv", tmp_path / "tools")
    own = environment.packages
    for name in ("cv2", "opencv_python_headless.libs", "opencv_python_headless-5.0.dist-info", "edge_app"):
        (own / name).mkdir(parents=True)
    environment.link(jetpack)
    links = {path.name: path.readlink() for path in own.iterdir() if path.is_symlink()}
    assert set(links) == {"tensorrt", "tensorrt-10.3.0.dist-info", "cv2"}
    assert links["tensorrt"] == root / MODULES / "tensorrt"
    assert sorted(path.name for path in own.iterdir() if not path.is_symlink()) == ["edge_app"]


def test_qt_is_the_last_that_an_older_c_library_can_have(stage: ModuleType) -> None:
    older, newer = stage.constraints("2.35").splitlines(), stage.constraints("2.39").splitlines()
    assert [line for line in older if line.startswith("pyqt6")] != [line for line in newer if line.startswith("pyqt6")]
    assert "pyqt6==6.7.1" in older
    assert [len([line for line in older if line.startswith(f"{name}==")]) for name in ("pyqt6", "pyqt6-qt6")] == [1, 1]
    assert "\n".join(newer) == (PACKAGING / "constraints.txt").read_text().rstrip("\n")
    wanted = re.search(r'"(PyQt6[^"]*)"', (PACKAGING.parent / "pyproject.toml").read_text())
    assert wanted is not None
    assert Requirement(wanted[1]).specifier.contains("6.7.1")


def test_the_bounds_of_jetpack_s_libraries_are_those_of_the_project(stage: ModuleType) -> None:
    text = (PACKAGING.parent / "pyproject.toml").read_text()
    for module, name in (("tensorrt", "tensorrt"), ("cv2", "opencv-python-headless")):
        low, high = (".".join(map(str, bound)) for bound in stage.LINKED[module])
        assert f'"{name}>={low},<{high}"' in text


def test_the_package_says_what_it_is_and_shares_all_else_with_the_other() -> None:
    build = script("jetson_build")
    control = (PACKAGING / "debian" / "control").read_text()
    with_it, without_it = build.jetson_control(control, True), build.jetson_control(control, False)
    assert "uses JetPack's own TensorRT and CUDA" in with_it
    assert "built WITHOUT JetPack: it runs on the CPU alone" in without_it
    for told in (with_it, without_it):
        assert "${jetson:Depends}" in told
        assert "Architecture: arm64" in told
        assert "needs no Python" not in told
    targets = {
        name: set(re.findall(r"(?m)^(override_\w+)", (PACKAGING / name / "rules").read_text()))
        for name in ("debian", "jetson")
    }
    assert targets["debian"] - targets["jetson"] == set()


def test_it_is_not_built_on_another_machine() -> None:
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    if architecture.strip() == "arm64":
        pytest.skip("this machine is one on which it can be built")
    done = subprocess.run([sys.executable, PACKAGING / "jetson_build.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"because this system is {architecture.strip()} and not arm64: run this on the Jetson itself" in done.stderr
    assert done.stderr.count("\n") == 1


def test_its_programs_hear_of_no_other_package(stage: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "echogfr"
    module = "other"
    program.write_text(stage.PROGRAM.format(python=sys.executable, module=module))
    program.chmod(0o755)
    (tmp_path / "other.py").write_text("main = print\n")
    done = subprocess.run([program], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert "No module named 'other'" in done.stderr


def test_of_qt_what_the_app_uses_is_left_and_runs(tmp_path: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf, which tells what a library needs, is not here")
    import PyQt6

    copy = tmp_path / "modules" / "PyQt6"
    shutil.copytree(Path(PyQt6.__file__).parent, copy)
    before = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
    script("jetson_qt").trim(copy)
    assert sum(path.stat().st_size for path in copy.rglob("*") if path.is_file()) < before / 2
    assert not [path for path in copy.rglob("*") if "Quick" in path.name or "Pdf" in path.name or "gtk" in path.name]
    code = (
        f"import sys; sys.path.insert(0, {str(copy.parent)!r});"
        "from PyQt6.QtWidgets import QApplication, QLabel; from PyQt6 import sip; app = QApplication([]);"
        "label = QLabel('x'); label.show(); picture = label.grab(); print(app.platformName(), not picture.isNull());"
        "print(sys.modules['PyQt6.QtCore'].__file__)"
    )
    env = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-I", "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"offscreen True\n{copy}"), done.stderr
    assert {path.stem.removesuffix(".so") for path in copy.glob("Qt6/plugins/platforms/*")} >= {
        "libqxcb",
        "libqoffscreen",
    }
