"""Every class of mistake on both command lines: one sentence, code 2, no traceback, nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convert import cli as convert_cli
from edge_app import atomic, cli
from edge_app.bundles import bundle_path
from engines.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
PHANTOM = "phantom:size=640x480,fps=5,cycle=0.5/0.5/9"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Call a command line in this process, in an empty folder; give code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: str, main: Callable[[], None] = cli.main) -> tuple[int, str, str]:
        name = "echogfr" if main is cli.main else "echogfr-convert"
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def assert_one_sentence(result: tuple[int, str, str], because: str) -> None:
    code, out, err = result
    assert code == 2
    assert out == ""
    assert because in err
    assert " because " in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (["analyze"], "missing argument"),
        (["analyse", PHANTOM], "no such command"),
        (["analyze", PHANTOM, "--frobnicate"], "no such option"),
        (["analyze", PHANTOM, "--max-frames", "0"], "greater than or equal to 1|0 is not in the range"),
        (["analyze", PHANTOM, "--max-frames", "many"], "valid integer"),
        (["analyze", PHANTOM, "--seconds", "-1"], "range|greater"),
        (["analyze", "phantom:look=zz"], "is no look"),
        (["analyze", "phantom:size=1x1"], "is no size"),
        (["analyze", "ndi://host/video"], "ndi: is no source"),
        (["analyze", "v4l2:/dev/video-none"], "there is no such device"),
        (["analyze", ""], "no name was given"),
        (["analyze", "none.mp4"], "no such file"),
        (["analyze", "empty.mp4"], "the file is empty"),
        (["analyze", "noise.mp4"], "it is no video or is damaged"),
        (["analyze", "noise.dcm"], "it is no DICOM file"),
        (["analyze", "hollow"], "no PNG, JPEG or other still"),
        (["analyze", PHANTOM, "--poles=1,2"], "not four numbers"),
        (["analyze", PHANTOM, "--runtime", "abacus"], "there is none of that name"),
        (["analyze", PHANTOM, "--precision", "fp8"], "precision"),
        (["analyze", PHANTOM, "--jsonl", "none/out.jsonl"], "no such file or directory"),
        (["analyze", PHANTOM, "--jsonl", "hollow"], "it is no plain file"),
        (["analyze", PHANTOM, "--jsonl", ""], "it is no plain file"),
        (["analyze", PHANTOM, "--snapshot", "shot.txt"], "it is written as PNG"),
        (["analyze", PHANTOM, "--snapshot", "none/shot.png"], "no such file or directory"),
        (["phantom", "--patients", "0", "--out", "set"], "range|greater"),
        (["phantom", "--patients", "1", "--out", "set", "--seed", "-1"], "range|greater"),
        (["phantom", "--patients", "1", "--out", "hollow"], "exists already"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    run: Run, tmp_path: Path, arguments: list[str], because: str
) -> None:
    (tmp_path / "hollow").mkdir()
    (tmp_path / "empty.mp4").touch()
    for name in ("noise.mp4", "noise.dcm"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 20)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert_one_sentence((code, out, err), next((part for part in because.split("|") if part in err), because))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (["inspect"], "missing argument"),
        (["inspect", "none"], "no such directory"),
        (["standin", "none", "--out", "new"], "no labels.csv"),
        (["standin", "none", "--out", "new", "--members", "0"], "members is 0"),
        (["standin", "none", "--out", "new", "--without", "fp7"], "it is no artifact"),
        (["standin", "none", "--out", "none/new"], "does not exist"),
        (["melt", "none"], "no such command"),
    ],
)
def test_the_conversion_tool_speaks_in_sentences_too(
    run: Run, tmp_path: Path, arguments: list[str], because: str
) -> None:
    pytest.importorskip("torch", reason="the conversion tool needs its extra")
    code, out, err = run(*arguments, main=convert_cli.main)
    flat = " ".join(err.split()) + "\n"
    assert_one_sentence((code, out, flat), next((part for part in because.split("|") if part in flat), because))
    assert list(tmp_path.iterdir()) == []


def flip_a_byte(bundle: Path) -> None:
    data = bytearray((bundle / "fp32.onnx").read_bytes())
    data[5000] ^= 1
    (bundle / "fp32.onnx").write_bytes(data)


def newer(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"schema_version": 2', '"schema_version": 99'))


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (flip_a_byte, "fp32.onnx was changed"),
        (lambda bundle: (bundle / "more.txt").touch(), "more.txt is not listed"),
        (lambda bundle: (bundle / "domain.npz").unlink(), "domain.npz is missing"),
        (lambda bundle: (bundle / "manifest.json").write_bytes(b"\xff\x00{"), "manifest.json is not valid"),
        (newer, "update the program"),
    ],
)
def test_a_spoiled_bundle_is_refused(run: Run, tmp_path: Path, spoil: Callable[[Path], object], because: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(bundle_path(None), bundle)
    spoil(bundle)
    assert_one_sentence(run("analyze", PHANTOM, "--bundle", str(bundle), "--jsonl", "o.jsonl"), because)
    assert not (tmp_path / "o.jsonl").exists()


def test_a_disk_that_fills_up_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_app import analyze

    (tmp_path / "o.jsonl").write_text("older\n")
    opened = Path.open

    def small(path: Path, *arguments: object, **options: object) -> object:
        file = opened(path, *arguments, **options)  # type: ignore[call-overload]
        if path.name.endswith(".part"):
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, file.fileno())
            os.close(full)
        return file

    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    monkeypatch.setattr(Path, "open", small)
    with pytest.raises(UsageError, match="no space left"), analyze._lines(tmp_path / "o.jsonl") as write:
        write("x" * 100_000)
    with pytest.raises(UsageError, match="no space left"), analyze._lines(tmp_path / "o.jsonl") as write:
        write("held back until the file is closed")
    monkeypatch.undo()
    assert (tmp_path / "o.jsonl").read_text() == "older\n"
    assert [path.name for path in tmp_path.iterdir()] == ["o.jsonl"]


def test_a_data_set_on_a_full_disk_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert_one_sentence(run("phantom", "--patients", "1", "--out", "set"), "no space left")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_plain_file_is_never_replaced(tmp_path: Path) -> None:
    """A rename onto a device would take it away from everybody."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no plain file"), atomic.replacing(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    with atomic.replacing(tmp_path / "link") as unfinished:
        unfinished.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "new"


OFFLINE = """
import os, sys
def watch(event, arguments):
    if event == "socket.__new__" and "AF_UNIX" not in str(arguments[1]) or event == "socket.connect":
        os.write(2, f"network: {event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(watch)
"""


def test_a_run_opens_no_socket_and_leaves_home_empty(tmp_path: Path) -> None:
    """Of Python's own sockets; what libraries would note about a machine lands in HOME."""
    done = subprocess.run(
        [sys.executable, "-c", f"{OFFLINE}\nfrom edge_app.cli import main\nmain()", "analyze", PHANTOM,
         "--max-frames", "8", "--json"],
        capture_output=True, text=True, timeout=60, cwd=ROOT, check=False,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "LANG": "C", "COLUMNS": "40", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are a Unix thing")
def test_a_cancel_keeps_what_was_analysed(tmp_path: Path) -> None:
    """By SIGTERM, which is taken as Ctrl-C: a shell lets its background jobs ignore the latter."""
    out = tmp_path / "out.jsonl"
    code = "from edge_app.cli import main\nmain()"
    command = [sys.executable, "-c", code, "analyze", PHANTOM, "--max-frames", "1000000", "--jsonl", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(path.stat().st_size > 10_000 for path in tmp_path.iterdir()):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert '"interrupted":true' in out.read_text().splitlines()[-1]
