"""The command: clips, stills and folders of them, whole or not at all, and never over an original."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_app import cli
from edge_app.capture.base import Frame
from edge_app.capture.open import open_source
from edge_app.capture.phantom.truth import PhantomTruth
from edge_app.deidentify.plan import DeidentifyPlan, Rules
from edge_app.deidentify.pseudonyms import kept_in
from edge_app.deidentify.report import Report
from edge_app.deidentify.run import deidentify
from engines import synthetic_mark

from .makers import BORN, NAME, NUMBER, Picture, burned, dataset, phantom, said_in, write_clip

ROOT = Path(__file__).resolve().parents[2]
COPIES = ["0002.dcm", "0003.png", "0004.mp4", "report.json"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the command in this process, in an empty folder; give code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["echogfr", "deidentify", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def frames_of(path: Path) -> list[Frame]:
    with open_source(str(path)) as source:
        return [frame for frame in iter(source.read, None) if isinstance(frame, Frame)]


def still(path: Path, pixels: Picture) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


def recordings(folder: Path) -> Path:
    """A folder as a hospital keeps one: a clip, a still, a DICOM file, each named after the patient, and a note."""
    folder.mkdir()
    pictures = [frame.pixels for frame in phantom()]
    write_clip(folder / f"{NAME}_clip.mp4", pictures)
    still(folder / NAME / "still.jpg", pictures[0])
    dataset(np.stack(pictures[:1])).save_as(folder / f"{NUMBER}.dcm")
    (folder / "note.txt").write_text(f"{NAME}, born {BORN}")
    return folder


def test_a_folder_becomes_a_folder_in_which_nobody_is_named(run: Run) -> None:
    code, out, err = run(str(recordings(Path("in"))), "out", "--without-ocr")
    assert (code, err) == (0, "")
    assert "3 written, 0 refused, 1 left out." in out
    assert "were not looked for" in out
    assert sorted(path.name for path in Path("out").rglob("*")) == COPIES
    for path in Path("out").iterdir():
        assert said_in(path.read_bytes(), NAME, NUMBER, BORN) == [], path
    truth = phantom()[0].truth
    assert isinstance(truth, PhantomTruth)
    for name in COPIES[:3]:
        for frame in frames_of(Path("out", name)):
            assert synthetic_mark.present(frame.pixels) or name.endswith(".dcm")
            assert frame.pixels[truth.sector_mask].mean() > 20
            for x0, y0, x1, y1 in truth.identity_boxes:
                assert frame.pixels[y0:y1, x0:x1].max() <= 2, name


def test_the_report_counts_and_names_nobody(run: Run) -> None:
    code, out, _ = run(str(recordings(Path("in"))), "out", "--without-ocr", "--json")
    assert code == 0
    written = Path("out/report.json").read_text()
    report = Report.model_validate_json(written)
    assert json.loads(out) == json.loads(written)
    assert said_in(written.encode(), NAME, NUMBER, BORN, str(Path.cwd())) == []
    assert [file.outcome for file in report.files] == ["left out", "written", "written", "written"]
    assert not report.words_checked
    assert {file.residue for file in report.files} == {"not run", None}
    assert report.files[1].burned_in_annotation == "YES"


def test_a_clip_keeps_its_pictures_and_times_and_loses_all_else(run: Run) -> None:
    pictures = [frame.pixels for frame in phantom(frames=4)]
    write_clip(Path("a.mp4"), pictures)
    code, _, _ = run("a.mp4", "b.mp4", "--without-ocr", "--area", "200,150,700,600")
    assert code == 0
    before, after = frames_of(Path("a.mp4")), frames_of(Path("b.mp4"))
    assert [frame.t_ms for frame in after] == pytest.approx([frame.t_ms for frame in before], abs=0.1)
    for one, other in zip(before, after, strict=True):
        inside = (slice(152, 598), slice(202, 698))
        assert np.abs(one.pixels[inside].astype(int) - other.pixels[inside]).mean() < 2.5
        assert other.pixels[:148].max() <= 2  # a codec's rounding
    with av.open("b.mp4") as container:
        assert len(container.streams) == 1
        assert not {"title", "comment", "encoder", "creation_time"} & set(container.metadata)
    assert said_in(Path("b.mp4").read_bytes(), NAME, "Lavf") == []


def test_a_name_that_comes_up_in_mid_clip_is_gone_from_all_of_it(run: Run) -> None:
    pictures = [frame.pixels for frame in phantom(frames=5)]
    write_clip(Path("a.mp4"), [*pictures[:3], *(burned(pixels) for pixels in pictures[3:])])
    code, out, err = run("a.mp4", "b.mp4", "--json")
    assert (code, err) == (0, "")
    (file,) = Report.model_validate_json(out).files
    assert (file.residue, file.frames) == ("passed", 5)
    assert file.hidden >= 1
    for frame in frames_of(Path("b.mp4")):
        assert frame.pixels[297:314, 335:515].max() <= 8  # a codec's ringing at the edge of the box


def test_an_odd_size_is_no_obstacle(run: Run) -> None:
    still(Path("a.png"), phantom()[0].pixels[:719, :959])
    code, _, _ = run("a.png", "b.png", "--without-ocr")
    assert code == 0
    assert frames_of(Path("b.png"))[0].pixels.shape == (719, 959, 3)


def test_a_still_loses_its_text_chunks(run: Run) -> None:
    path = still(Path("a.png"), phantom()[0].pixels)
    data = path.read_bytes()
    path.write_bytes(data + NAME.encode())
    assert run("a.png", "b.png", "--without-ocr")[0] == 0
    assert said_in(Path("b.png").read_bytes(), NAME) == []


def test_names_are_kept_where_that_is_asked_for(run: Run) -> None:
    recordings(Path("in"))
    assert run("in", "out", "--without-ocr", "--names", "keep")[0] == 0
    names = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file())
    assert names == [f"{NUMBER}.dcm.dcm", f"{NAME}/still.jpg.png", f"{NAME}_clip.mp4.mp4", "report.json"]


def test_a_key_file_gives_the_same_pseudonyms_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert kept_in(path).uid("1.2.3") == kept_in(path).uid("1.2.3")
    assert path.stat().st_mode & 0o077 == 0


MISTAKES = [
    (("nothing", "out"), "there is no such file or folder"),
    (("in", "in"), "among the originals"),
    (("in", "in/out"), "among the originals"),
    (("in/a.png", "in"), "among the originals"),
    (("in/a.png", "in/a.png"), "replace the original"),
    (("in/a.png", "full"), "the folder is not empty"),
    (("in/a.png", "b.mp4"), "the copy of a still is no .mp4 file"),
    (("in/a.png", "full/c.png"), "there is such a file already"),
    (("in", "full/c.png"), "it is a file"),
    (("empty", "out"), "holds no file"),
    (("in", "out", "--area", "5,5,1,1"), "no box"),
    (("in", "out", "--hide", "a"), "no box"),
    (("in", "out", "--names", "x"), "number or keep"),
    (("in", "out", "--dates", "x"), "remove or shift"),
    (("in", "out", "--key-file", "full/c.png"), "holds no key"),
]


@pytest.mark.parametrize(("arguments", "because"), MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_written(run: Run, arguments: tuple[str, ...], because: str) -> None:
    still(Path("in/a.png"), phantom()[0].pixels)
    still(Path("full/c.png"), phantom()[0].pixels)
    Path("empty").mkdir()
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    code, out, err = run(*arguments, "--without-ocr")
    assert (code, out) == (2, "")
    assert because in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_files_that_cannot_be_made_safe_are_refused_and_the_others_written(run: Run) -> None:
    pixels = phantom()[0].pixels
    still(Path("in/1_good.png"), pixels)
    still(Path("in/2_black.png"), np.zeros_like(pixels))
    Path("in/3_torn.mp4").write_bytes(b"no video at all" * 50)
    Path("in/4_torn.dcm").write_bytes(b"no DICOM at all" * 50)
    data = still(Path("in/5_torn.jpg"), pixels).read_bytes()
    Path("in/5_torn.jpg").write_bytes(data[:40])
    mixed = [pixels, pixels, np.zeros_like(pixels)]
    write_clip(Path("in/6_cut.mp4"), mixed).write_bytes(Path("in/6_cut.mp4").read_bytes()[:3000])
    code, _, err = run("in", "out", "--without-ocr")
    assert code == 1
    report = Report.model_validate_json(Path("out/report.json").read_text())
    assert [file.outcome for file in report.files] == ["written", *["refused"] * 5]
    assert report.files[1].refusal == "no-image-area"
    assert {file.refusal for file in report.files[2:]} == {"unreadable"}
    assert err.count("\n") == 5
    assert sorted(path.name for path in Path("out").iterdir()) == ["0001.png", "report.json"]


def test_a_clip_whose_layout_changes_is_refused(tmp_path: Path) -> None:
    pixels = phantom()[0].pixels
    moved = np.zeros_like(pixels)
    moved[:300, :400] = cv2.resize(pixels, (400, 300), interpolation=cv2.INTER_AREA)
    write_clip(tmp_path / "a.mp4", [*[pixels] * 12, *[moved] * 30], fps=5)
    plan = DeidentifyPlan(tmp_path / "a.mp4", tmp_path / "out", rules=Rules(read=None))
    (file,) = deidentify(plan).files
    assert (file.outcome, file.refusal) == ("refused", "layout-changes")


def test_without_the_reader_nothing_is_written_unless_somebody_consents(tmp_path: Path) -> None:
    still(tmp_path / "in/a.png", phantom()[0].pixels)
    call = "import sys; sys.modules['rapidocr'] = None; from edge_app.cli import main; main()"
    command = [sys.executable, "-c", call, "deidentify", "in", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--without-ocr" in done.stderr
    assert not (tmp_path / "out").exists()
    consent = [*command, "--without-ocr"]
    done = subprocess.run(consent, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/0001.png").is_file()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_only_whole_files(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pictures = [frame.pixels for frame in phantom(size="640x480")]
    for number in range(4):
        write_clip(folder / f"{number}.mp4", pictures * 12)
    call = "from edge_app.cli import main; main()"
    command = [sys.executable, "-c", call, "deidentify", "in", "out", "--without-ocr"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL) as process:
        out = tmp_path / "out"
        deadline = time.monotonic() + 60
        while not (out / "0001.mp4").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        process.send_signal(how)
        code = process.wait(60)
    visible = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert "0001.mp4" in visible
    assert all(len(frames_of(out / name)) == 36 for name in visible if name.endswith(".mp4"))
    if how != signal.SIGKILL:
        assert code == 130
        assert not [path for path in out.iterdir() if path.name.startswith(".")]
        assert Report.model_validate_json((out / "report.json").read_text()).interrupted
