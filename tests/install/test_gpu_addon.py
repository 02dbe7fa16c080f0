"""``echogfr doctor --install-gpu``: what it takes, what it refuses in one sentence, and what is found afterwards."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edge_app import cli
from edge_app.addon.install import install_addon
from edge_app.addon.known import kind_of
from edge_app.doctor import examine
from engines import addon
from tests.install.wheel_makers import make_wheel, rewheel

ROOT = Path(__file__).resolve().parents[2]
OTHER = "cp39-cp39-manylinux_2_28_x86_64"
Doctor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where add-ons of this test lie; nothing of them stays on the path."""
    place = tmp_path / "addon"
    monkeypatch.setenv(addon.ADDON_VARIABLE, str(place))
    addon.deactivate()
    yield place
    addon.deactivate()


@pytest.fixture
def doctor(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Call ``echogfr doctor`` in this process without looking at the machine; give code, stdout and stderr."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("edge_app.doctor.examine", lambda _: [])
    monkeypatch.setattr("edge_app.addon.needs._of_the_app", without_gpu)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["echogfr", "doctor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def without_gpu(name: str) -> str | None:
    """As an app that has no library for the GPU of its own, unlike the environment of the tests."""
    return None if kind_of(name) is not None else importlib.metadata.version(name)


def rtx(folder: Path, version: str = "1.7.1.116", says: bytes = b"__version__ = '1.7.1.116'\n") -> Path:
    """A folder as it should be: TensorRT for RTX in three wheels, and what copies to the GPU."""
    parts = [f"tensorrt_rtx_cu12_{part}=={version}" for part in ("libs", "bindings")]
    make_wheel(folder, "tensorrt-rtx-cu12", version, {"tensorrt_rtx/__init__.py": says}, requires=parts)
    make_wheel(folder, "tensorrt-rtx-cu12-libs", version, {"tensorrt_rtx_libs/__init__.py": b""})
    make_wheel(folder, "tensorrt-rtx-cu12-bindings", version, {"tensorrt_rtx_bindings/__init__.py": b""})
    make_wheel(folder, "cuda-bindings", "12.9.4", {"cuda/bindings/driver.py": b""}, requires=["cuda-pathfinder~=1.1"])
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"cuda/pathfinder/__init__.py": b""})
    return folder


def imported(module: str, home: Path) -> str:
    """Return the file from which a fresh program imports a module."""
    code = f"from engines.addon import activate; activate(); import {module} as m; print(m.__file__)"
    env = {**os.environ, addon.ADDON_VARIABLE: str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def slots(home: Path) -> set[str]:
    return {path.name for path in home.glob("slot-*")}


def test_the_wheels_of_a_folder_are_there_for_every_program_afterwards(
    doctor: Doctor, home: Path, tmp_path: Path
) -> None:
    code, out, _ = doctor("--install-gpu", rtx(tmp_path / "wheels"))
    assert code == 0
    assert "GPU add-on installed: cuda-bindings 12.9.4, tensorrt-rtx-cu12 1.7.1.116." in out
    assert imported("tensorrt_rtx", home).startswith(str(home))


def test_a_process_that_the_program_starts_has_it_too(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    doctor("--install-gpu", rtx(tmp_path / "wheels"))
    script = tmp_path / "spawns.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing
        from engines.addon import activate

        def child():
            import tensorrt_rtx
            print(tensorrt_rtx.__file__, flush=True)

        if __name__ == "__main__":
            activate()
            process = multiprocessing.get_context("spawn").Process(target=child)
            process.start()
            process.join()
        """)
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(str(home))


def test_onnx_runtime_for_gpus_comes_before_the_apps_own_and_goes_again(
    doctor: Doctor, home: Path, tmp_path: Path
) -> None:
    """It holds the same module: the first on the path is taken, and nothing of the app's own is touched."""
    own = imported("onnxruntime", home)
    files = {"onnxruntime_gpu-1.31.1.data/purelib/onnxruntime/__init__.py": b""}
    make_wheel(tmp_path / "wheels", "onnxruntime-gpu", "1.31.1", files, requires=["numpy>=1.21.6"])
    assert doctor("--install-gpu", tmp_path / "wheels")[0] == 0
    assert imported("onnxruntime", home).startswith(str(home))
    assert doctor("--remove-gpu")[0] == 0
    assert imported("onnxruntime", home) == own


def test_what_the_app_has_itself_is_left_aside_and_said(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    make_wheel(rtx(tmp_path / "wheels"), "numpy", "2.2.6")
    code, out, _ = doctor("--install-gpu", tmp_path / "wheels")
    assert code == 0
    assert "Left aside: numpy-2.2.6-py3-none-any.whl" in out
    assert not list(home.rglob("numpy"))


def test_of_several_wheels_of_a_name_the_newest_that_fits_is_taken(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    wheels = rtx(tmp_path / "wheels")
    make_wheel(wheels, "cuda-pathfinder", "1.3.3", {"cuda/pathfinder/__init__.py": b"newer = True\n"})
    make_wheel(wheels, "cuda-pathfinder", "1.3.4", {"cuda/pathfinder/__init__.py": b""}, tag=OTHER)
    assert doctor("--install-gpu", wheels)[0] == 0
    assert "newer" in next(home.rglob("pathfinder/__init__.py")).read_text()


def test_nothing_of_a_wheel_is_run_and_no_network_is_asked(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "was run"
    wheels = rtx(tmp_path / "wheels", says=f"open({str(trap)!r}, 'w')\n".encode())
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    install_addon(wheels, lambda done, total: None)
    assert not trap.exists()


def test_programs_of_a_wheel_are_not_unpacked(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    files = {
        "onnxruntime/__init__.py": b"",
        "onnxruntime_gpu-1.31.1.data/scripts/run-me": b"#!python\n",
        "onnxruntime_gpu-1.31.1.dist-info/entry_points.txt": b"[console_scripts]\nonnxruntime_test = onnxruntime:x\n",
    }
    make_wheel(tmp_path / "wheels", "onnxruntime-gpu", "1.31.1", files)
    assert doctor("--install-gpu", tmp_path / "wheels")[0] == 0
    assert not [path for path in home.rglob("*") if path.name in ("run-me", "onnxruntime_test")]


def wrong_python(folder: Path) -> None:
    next(folder.glob("tensorrt*_bindings-*")).unlink()
    make_wheel(folder, "tensorrt-rtx-cu12-bindings", "1.7.1.116", {"tensorrt_rtx_bindings/__init__.py": b""}, tag=OTHER)


def wrong_machine(folder: Path) -> None:
    next(folder.glob("*_libs-*")).unlink()
    tag = "py3-none-win_arm64"
    make_wheel(folder, "tensorrt-rtx-cu12-libs", "1.7.1.116", {"tensorrt_rtx_libs/__init__.py": b""}, tag=tag)


def newer_python_wanted(folder: Path) -> None:
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"cuda/pathfinder/__init__.py": b""}, python=">=3.99")


def one_missing(folder: Path) -> None:
    next(folder.glob("*_libs-*")).unlink()


def of_two_releases(folder: Path) -> None:
    next(folder.glob("*_libs-*")).unlink()
    make_wheel(folder, "tensorrt-rtx-cu12-libs", "1.8.0.1", {"tensorrt_rtx_libs/__init__.py": b""})


def newer_numpy_wanted(folder: Path) -> None:
    files = {"onnxruntime/__init__.py": b""}
    make_wheel(folder, "onnxruntime-gpu", "1.31.1", files, requires=["numpy>=99"])


def too_new(folder: Path) -> None:
    make_wheel(folder, "tensorrt", "12.0.1", {"tensorrt/__init__.py": b""})


def no_layer(folder: Path) -> None:
    for wheel in folder.glob("cuda*"):
        wheel.unlink()


def flipped_byte(folder: Path) -> None:
    wheel = next(folder.glob("tensorrt_rtx_cu12-1*"))
    raw = bytearray(wheel.read_bytes())
    raw[raw.index(b"__version__")] ^= 1
    wheel.write_bytes(raw)


def cut_short(folder: Path) -> None:
    wheel = next(folder.glob("tensorrt_rtx_cu12-1*"))
    wheel.write_bytes(wheel.read_bytes()[:-200])


def other_than_its_record(folder: Path) -> None:
    path = "tensorrt_rtx/__init__.py"
    requires = ["tensorrt_rtx_cu12_libs==1.7.1.116"]
    make_wheel(folder, "tensorrt-rtx-cu12", "1.7.1.116", {path: b"evil"}, requires=requires, lies_about=path)


def renamed(folder: Path) -> None:
    next(folder.glob("tensorrt_rtx_cu12-1*")).rename(folder / "tensorrt-latest.whl")


def another_inside(folder: Path) -> None:
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"cuda/pathfinder/__init__.py": b""}, calls_itself="something")


def stands_in_for_numpy(folder: Path) -> None:
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"numpy/__init__.py": b""})


def path_file(folder: Path) -> None:
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"cuda_pathfinder.pth": b"import os"})


def leads_out(folder: Path) -> None:
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"../../evil.py": b""})


def leads_out_later(folder: Path) -> None:
    make_wheel(folder, "cuda-pathfinder", "1.3.2", {"cuda/../../../evil.py": b""})


def same_files_twice(folder: Path) -> None:
    for number in (12, 13):
        make_wheel(folder, f"tensorrt-cu{number}", "10.16.1.11", {"tensorrt/__init__.py": b""})


def sums_of_another(folder: Path) -> None:
    write_sums(folder, {next(folder.glob("*_libs-*")).name: "0" * 64})


def sums_without_one(folder: Path) -> None:
    write_sums(folder, {next(folder.glob("*_libs-*")).name: None})


def sums_with_a_lost_one(folder: Path) -> None:
    write_sums(folder, {"tensorrt-10.3.0-py3-none-any.whl": "0" * 64})


def sums_of_no_use(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("what is this\n")


def write_sums(folder: Path, changes: dict[str, str | None]) -> None:
    sums: dict[str, str | None] = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.whl")}
    lines = [f"{digest}  {name}\n" for name, digest in {**sums, **changes}.items() if digest]
    (folder / "SHA256SUMS").write_text("".join(lines))


def only_the_source(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "tensorrt_rtx_cu12-1.7.1.116.tar.gz").touch()


def empty(folder: Path) -> None:
    for wheel in folder.iterdir():
        wheel.unlink()


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (wrong_python, "is for cp39, and this app has Python 3."),
        (wrong_machine, "is for win_arm64, and this machine is "),
        (newer_python_wanted, "is for Python >=3.99, and this app has Python 3."),
        (one_missing, "needs tensorrt_rtx_cu12_libs ==1.7.1.116, which is not in the folder: add its wheel"),
        (of_two_releases, "needs tensorrt_rtx_cu12_libs ==1.7.1.116, and 1.8.0.1 is in the folder"),
        (newer_numpy_wanted, "needs numpy >=99, and "),
        (too_new, "goes with tensorrt <12,>=10.3, and tensorrt-12.0.1-py3-none-any.whl is 12.0.1"),
        (flipped_byte, "tensorrt_rtx_cu12-1.7.1.116-py3-none-any.whl is damaged (Bad CRC-32"),
        (cut_short, "is damaged (File is not a zip file)"),
        (other_than_its_record, "is damaged (tensorrt_rtx/__init__.py is not what its record says)"),
        (renamed, "tensorrt-latest.whl is not how a wheel is called"),
        (another_inside, "calls itself something"),
        (stands_in_for_numpy, "holds numpy/__init__.py, which is no part of the library that it is called after"),
        (path_file, "holds cuda_pathfinder.pth, which is no part of"),
        (leads_out, "holds ../../evil.py, which is no part of"),
        (leads_out_later, "holds cuda/../../../evil.py, which is no part of"),
        (same_files_twice, "and another wheel hold the same files: leave one of them"),
        (sums_of_another, "is not the file that SHA256SUMS lists: copy the folder again"),
        (sums_without_one, "SHA256SUMS does not list tensorrt_rtx_cu12_libs"),
        (sums_with_a_lost_one, "tensorrt-10.3.0-py3-none-any.whl, which SHA256SUMS lists, is missing"),
        (sums_of_no_use, "is not what sha256sum writes"),
        (only_the_source, "make a wheel of tensorrt_rtx_cu12-1.7.1.116.tar.gz with `pip wheel`"),
        (empty, "holds no wheel of TensorRT"),
        (gone, "is not a folder"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_leaves_the_add_on_as_it_was(
    spoil: Callable[[Path], None], because: str, doctor: Doctor, home: Path, tmp_path: Path
) -> None:
    doctor("--install-gpu", rtx(tmp_path / "good"))
    before, listed = slots(home), (home / addon.SLOTS_NAME).read_bytes()
    spoil(rtx(tmp_path / "wheels"))
    code, out, err = doctor("--install-gpu", tmp_path / "wheels")
    assert (code, out) == (2, "")
    assert err.startswith("The GPU add-on cannot be installed, because ")
    assert because in err
    assert err.count("\n") == 1
    assert (slots(home), (home / addon.SLOTS_NAME).read_bytes()) == (before, listed)
    assert not list(tmp_path.rglob("evil.py"))


def test_without_what_reaches_the_gpu_it_is_one_sentence(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.addon.needs._is_there", lambda module: False)  # the app itself has neither
    no_layer(rtx(tmp_path / "wheels"))
    code, _, err = doctor("--install-gpu", tmp_path / "wheels")
    assert code == 2
    assert "needs cuda-bindings or pycuda to reach the GPU's memory, and neither is there" in err


def test_a_disk_without_room_is_said_before_anything_is_written(
    doctor: Doctor, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, 1 << 30, 1 << 20))
    code, _, err = doctor("--install-gpu", rtx(tmp_path / "wheels"))
    assert code == 2
    assert "has 1 MB left: make room there" in err
    assert slots(home) == set()


def test_a_disk_that_fills_meanwhile_leaves_nothing(
    doctor: Doctor, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = doctor("--install-gpu", rtx(tmp_path / "wheels"))
    assert code == 2
    assert "is full: make room there" in err
    assert slots(home) == set()
    assert not (home / addon.SLOTS_NAME).exists()


def test_an_install_that_is_cancelled_keeps_the_one_before(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    doctor("--install-gpu", rtx(tmp_path / "wheels"))
    before = slots(home)
    calls = 0

    def cancel(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 7:  # the wheels were read: it is being written
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install_addon(tmp_path / "wheels", cancel)
    assert slots(home) == before
    assert imported("tensorrt_rtx", home).startswith(str(home))


def test_the_one_before_is_kept_comes_back_and_goes_with_the_rest(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        wheels = rtx(tmp_path / str(number), version=f"1.7.{number}")
        assert doctor("--install-gpu", wheels)[0] == 0
    assert len(slots(home)) == 2
    code, out, _ = doctor("--restore-gpu")
    assert (code, "tensorrt-rtx-cu12 1.7.2." in out) == (0, True)
    assert "tensorrt-rtx-cu12 1.7.3." in doctor("--restore-gpu")[1]
    assert doctor("--remove-gpu")[0] == 0
    assert slots(home) == set()
    code, _, err = doctor("--remove-gpu")
    assert (code, "there is none in" in err) == (2, True)
    assert "because" in doctor("--restore-gpu")[2]


def test_it_is_not_removed_while_a_program_uses_it(doctor: Doctor, home: Path, tmp_path: Path) -> None:
    doctor("--install-gpu", rtx(tmp_path / "wheels"))
    code = "from engines.addon import activate; activate(); print('up', flush=True); input()"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        refused, _, err = doctor("--remove-gpu")
        program.communicate("\n", timeout=30)
    assert (refused, "a running EchoGFR uses it: close it first" in err) == (2, True)
    assert doctor("--remove-gpu")[0] == 0


def test_one_thing_at_a_time(doctor: Doctor, tmp_path: Path) -> None:
    code, _, err = doctor("--install-gpu", tmp_path, "--remove-gpu")
    assert code == 2
    assert "are one thing each" in err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("cpython-", "cpython-9"), "it was made for cpython-9"),
        (lambda text: text.replace('"folder": "slot-', '"folder": "slot-x'), "cannot be read"),
        (lambda text: re.sub(r"slot-\w{8}", "slot-00000000", text), "is missing"),
        (lambda text: text[:40], "cannot be read"),
    ],
)
def test_one_that_is_of_no_use_here_is_not_used_and_doctor_says_why(
    spoil: Callable[[str], str], said: str, home: Path, tmp_path: Path
) -> None:
    install_addon(rtx(tmp_path / "wheels"), lambda done, total: None)
    (home / addon.SLOTS_NAME).write_text(spoil((home / addon.SLOTS_NAME).read_text()))
    addon.deactivate()
    addon.activate()
    assert not [entry for entry in sys.path if entry.startswith(str(home))]
    found = next(finding for finding in examine() if finding.what == "GPU add-on")
    assert not found.good
    assert said in found.detail
    assert "--install-gpu FOLDER" in found.detail


def test_root_never_imports_what_lies_in_the_folder_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(addon.ADDON_VARIABLE, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    assert addon.addon_homes() == (addon.SYSTEM_FOLDER,)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert addon.addon_homes()[1:] == (addon.SYSTEM_FOLDER,)


def test_everybody_may_read_what_is_installed_whatever_the_umask(home: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        install_addon(rtx(tmp_path / "wheels"), lambda done, total: None)
    finally:
        os.umask(before)
    for path in (home / addon.SLOTS_NAME, *home.glob("slot-*"), *home.rglob("*.py")):
        assert path.stat().st_mode & 0o044 == 0o044


def test_the_versions_are_those_of_the_extras() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lines = re.findall(r'^  "((?:tensorrt|cuda-bindings|pycuda|onnxruntime-gpu)[^"]*)"', text, re.MULTILINE)
    wanted = [Requirement(line) for line in lines]
    assert {one.name for one in wanted} >= {"tensorrt", "tensorrt-rtx-cu12", "cuda-bindings", "onnxruntime-gpu"}
    for one in wanted:
        kind = kind_of(one.name)
        assert kind is not None
        assert (one.name, kind.versions) == (one.name, one.specifier)


def test_nvidias_own_wheels_are_unpacked_and_find_their_libraries(home: Path, tmp_path: Path) -> None:
    names = ("cuda-bindings", "cuda-pathfinder", *(f"tensorrt_rtx_cu12{part}" for part in ("", "_bindings", "_libs")))
    try:
        there = [importlib.metadata.distribution(name) for name in names]
    except importlib.metadata.PackageNotFoundError as error:
        pytest.skip(f"{error.name} is not installed here: it is there for x86-64 alone")
    for distribution in there:
        rewheel(tmp_path, distribution)
    install_addon(tmp_path, lambda done, total: None)
    code = (
        "from engines.addon import activate; activate(); import tensorrt_rtx as t, cuda.bindings.driver as d;"
        "t.Logger(); print(t.__version__, d.__file__); print(open('/proc/self/maps').read())"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    first, *maps = done.stdout.splitlines()
    assert first.startswith(f"{there[2].version} {home}")
    assert [line for line in maps if str(home) in line and line.endswith("libtensorrt_rtx.so.1")]
