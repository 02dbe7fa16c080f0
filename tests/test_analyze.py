"""``analyze``: a recording becomes one object a frame and a summary, complete or not at all."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_app import analyze as analyze_module
from edge_app.analyze import AnalyzePlan, Summary, analyze
from edge_app.capture.base import SourceError
from edge_app.capture.open import open_source
from edge_app.live.messages import ModelSummary, Poles
from edge_app.live.pipeline import Pipeline, PipelineSettings
from edge_app.live.report import FrameReport
from edge_app.summary import print_summary
from engines.errors import UsageError
from engines.kdigo import category_range
from engines.manifest import InputSpec, ProbabilityHead, RegressionHead
from engines.reading import Reading
from engines.values import Chance, Regressed
from tests.capture.senders import recording, tcp_sender

PHANTOM = "phantom:seed=2,egfr=45,size=960x720,fps=10,cycle=0.5/0.5/3"
KEYS = {"frame", "t_ms", "state", "sector", "calipers", "px_per_cm", "crop", "quality", "refusal", "reading"}
SUMMARY_KEYS = {
    "summary", "frames", "states", "refusals", "readings", "median_reading", "latency_ms", "runtime", "precision",
    "selection", "bundle", "source",
}  # fmt: skip


EGFR = RegressionHead(
    name="egfr",
    title="Image-derived eGFR",
    quantity="egfr",
    output="egfr_members",
    unit="mL/min/1.73 m2",
    resolution=1.0,
    lowest=0.0,
)
BELOW_60 = ProbabilityHead(
    name="p_egfr_below_60", title="P(eGFR < 60)", quantity="egfr_below_60", event="eGFR < 60", output="p_members"
)


class MeanGreyReader:
    """Reads a crop as its mean grey: a number that depends on the picture, and on nothing else."""

    def __init__(self, synthetic: bool = True) -> None:
        spec = InputSpec(name="crop", height=224, width=224, crop_mode="square")
        self.manifest: Any = SimpleNamespace(input=spec, synthetic=synthetic, domain=SimpleNamespace(limit=1.0))

    def read(self, crop: np.ndarray) -> Reading:
        grey = float(crop.mean())
        ends = max(0.0, grey - 10), grey + 10
        return Reading(
            values=(
                Regressed(EGFR, grey, *ends, 0.9, 1.0, (grey,), category_range(*ends), np.ones((2, 2), np.float32)),
                Chance(BELOW_60, 0.5, 0.0, (0.5,), None),
            ),
            heads_agree=True,
            domain_distance=0.1,
            in_domain=True,
            synthetic=self.manifest.synthetic,
            runtime="mean",
            provider="here",
            precision="fp32",
            bundle="mean 1",
            bundle_sha256="0" * 64,
            artifact_sha256="1" * 64,
            seen=(0,),
            members_total=1,
        )


@pytest.fixture(autouse=True)
def mean_grey_model(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = ModelSummary(
        bundle_id="mean",
        version="1",
        title="Mean grey",
        sha256="0" * 64,
        synthetic=True,
        members=1,
        heads=(EGFR, BELOW_60),
        runtime="mean",
        provider="here",
        precision="fp32",
        selection=("mean fp32: the only one",),
        limits=(),
    )

    @contextmanager
    def open_model(plan: object) -> Iterator[Any]:
        yield SimpleNamespace(reader=MeanGreyReader(), summary=summary)

    monkeypatch.setattr(analyze_module, "open_model", open_model)


def lines(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *frames, summary = [json.loads(line) for line in path.read_text().splitlines()]
    return frames, summary


def test_every_frame_is_one_object_and_the_summary_comes_last(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = analyze(AnalyzePlan(PHANTOM, jsonl=out, max_frames=30))
    assert re.search(r"NaN|Infinity|\d\.\d{4}", out.read_text()) is None, "strict JSON, three decimals"
    frames, summary = lines(out)
    assert [frame["frame"] for frame in frames] == list(range(30))
    for frame in frames:
        assert set(frame) >= KEYS
        FrameReport.model_validate_json(json.dumps(frame))
    assert set(summary) >= SUMMARY_KEYS
    assert summary["summary"] is True
    assert Summary.model_validate(summary) == result
    assert sum(summary["states"].values()) == summary["frames"] == 30
    refused = sum(frame["refusal"] is not None for frame in frames)
    read = sum(frame["reading"] is not None for frame in frames)
    assert sum(summary["refusals"].values()) == refused
    assert summary["readings"] == read
    assert refused + read == 30, "each frame has a number or a reason"
    assert set(summary["latency_ms"]["total"]) == {"p50", "p95", "p99"}
    assert summary["bundle"] == {"id": "mean", "version": "1", "sha256": "0" * 64, "synthetic": True}


def test_a_script_finds_every_head_by_its_name(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = analyze(AnalyzePlan(PHANTOM, jsonl=out, max_frames=30))
    frames, summary = lines(out)
    read = [frame for frame in frames if frame["reading"] is not None]
    for frame in read:
        said = {value["head"]: value for value in frame["reading"]["values"]}
        assert said["egfr"]["low"] <= said["egfr"]["value"] <= said["egfr"]["high"]
        assert (said["egfr"]["kind"], said["egfr"]["unit"]) == ("regression", "mL/min/1.73 m2")
        assert (said["p_egfr_below_60"]["event"], said["p_egfr_below_60"]["p"]) == ("eGFR < 60", 0.5)
        assert said["egfr"]["map"] == [[1.0, 1.0], [1.0, 1.0]]
    middle = np.median([frame["reading"]["values"][0]["value"] for frame in read])
    assert summary["median_reading"]["values"][0]["value"] == pytest.approx(middle, abs=2e-3)
    assert result.median_reading is not None
    assert [value.map for value in result.median_reading.values] == [None, None]


def test_a_person_reads_the_summary_with_whatever_a_bundle_calls_its_heads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    result = analyze(AnalyzePlan(PHANTOM, max_frames=30))
    assert result.median_reading is not None
    first, second = result.median_reading.values
    odd = first.model_copy(update={"quantity": "other", "title": "[red]Volume[/]", "categories": ""})
    renamed = result.median_reading.model_copy(update={"values": (odd, second)})
    print_summary(result)
    print_summary(result.model_copy(update={"median_reading": renamed}))
    told = capsys.readouterr().out
    assert "image-derived eGFR estimate (research use) " in told
    assert "P(eGFR<60) 0.50; medians over the recording, one time point" in told
    assert "[red]Volume[/] (image-derived, research use) " in told


@pytest.mark.parametrize("look", ["ge", "philips", "canon"])
def test_the_phantom_is_read_between_its_final_markers_alone(look: str) -> None:
    """Half-drawn markers are seen on some screens; no number comes of them."""
    reader: Any = MeanGreyReader()
    line = Pipeline(reader, PipelineSettings())
    read: list[tuple[float, ...]] = []
    final: set[tuple[float, ...]] = set()
    with open_source(f"phantom:look={look},seed=2,egfr=45,size=960x720,fps=10,cycle=0.5/1/2") as source:
        for _ in range(33):
            frame = source.read()
            assert frame is not None
            truth: Any = frame.truth
            if truth.calipers is not None:
                final.add((*truth.calipers[0], *truth.calipers[1]))
            report = line.process(frame).report
            if report.reading is not None and report.crop is not None:
                read.append(report.crop.poles)
    assert len(read) > 10
    (ends,) = final
    swapped = (*ends[2:], *ends[:2])
    for poles in read:
        assert min(np.abs(np.subtract(poles, other)).max() for other in (ends, swapped)) < 2.0


def test_what_is_refused_says_so_and_the_run_is_good(tmp_path: Path) -> None:
    path = tmp_path / "black.png"
    cv2.imwrite(str(path), np.zeros((480, 640, 3), np.uint8))
    result = analyze(AnalyzePlan(str(path)))
    assert (result.frames, result.readings, result.median_reading) == (1, 0, None)
    assert list(result.refusals) == ["no_signal"]
    assert result.states == {"LOST": 1}


def test_an_endless_source_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyze_module, "ENDLESS_FRAMES", 4)
    assert analyze(AnalyzePlan(PHANTOM)).frames == 4
    assert analyze(AnalyzePlan(PHANTOM, seconds=0.55)).frames == 6
    assert analyze(AnalyzePlan("phantom:frames=7,fps=10,size=640x480")).frames == 7


def test_ctrl_c_leaves_a_complete_file_that_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    def press(frames: int) -> None:
        if frames == 3:
            raise KeyboardInterrupt

    result = analyze(AnalyzePlan(PHANTOM, jsonl=out, max_frames=20), press)
    frames, summary = lines(out)
    assert (len(frames), summary["frames"], summary["interrupted"]) == (3, 3, True)
    assert result.interrupted


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:50])
    out = tmp_path / "out" / "a.jsonl"
    out.parent.mkdir()
    out.write_text("an older result\n")
    with pytest.raises(SourceError):
        analyze(AnalyzePlan(str(tmp_path), jsonl=out))
    assert [path.name for path in out.parent.iterdir()] == ["a.jsonl"]
    assert out.read_text() == "an older result\n"


def test_a_live_source_that_breaks_off_leaves_what_was_read_and_why(tmp_path: Path) -> None:
    clip = recording(12)

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        receiver.sendall(clip)

    with tcp_sender(send) as port:
        plan = AnalyzePlan(source=f"tcp://127.0.0.1:{port}", jsonl=tmp_path / "out.jsonl")
        summary = analyze(plan)
    assert summary.frames == 12
    assert summary.broke_off is not None
    assert "the sender sends no more" in summary.broke_off
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 13


@pytest.mark.parametrize("field", ["jsonl", "snapshot"])
def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path, field: str) -> None:
    plan = AnalyzePlan("phantom:size=640x480", max_frames=1, **{field: tmp_path / "none" / "out.png"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no such file or directory"):
        analyze(plan)


def test_standard_output_can_be_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    analyze(AnalyzePlan("phantom:size=640x480", max_frames=2, jsonl=Path("-")))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(printed) == 3
    assert printed[-1]["summary"] is True


def snapshot_of(tmp_path: Path, plan: Callable[[Path], AnalyzePlan]) -> np.ndarray:
    path = tmp_path / "shot.png"
    analyze(plan(path))
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def test_the_snapshot_shows_no_identity(tmp_path: Path) -> None:
    picture = snapshot_of(tmp_path, lambda path: AnalyzePlan(PHANTOM, snapshot=path, max_frames=20))
    with open_source(PHANTOM) as source:
        frame = source.read()
    assert frame is not None
    assert picture.shape[0] > 720, "a caption below"
    boxes = frame.truth.identity_boxes  # type: ignore[union-attr, attr-defined]
    assert boxes
    for x0, y0, x1, y1 in (tuple(round(edge) for edge in box) for box in boxes):
        assert frame.pixels[y0:y1, x0:x1].max() > 60, "there was something to hide"
        assert picture[y0:y1, x0:x1].max() == 0


def test_a_snapshot_without_sector_shows_nothing_of_the_screen(tmp_path: Path) -> None:
    source = tmp_path / "screen.png"
    noise = np.zeros((480, 640, 3), np.uint8)
    cv2.putText(noise, "DOE JANE", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 3)
    cv2.imwrite(str(source), noise)
    picture = snapshot_of(tmp_path, lambda path: AnalyzePlan(str(source), snapshot=path))
    assert picture[:480].max() == 0


def test_handles_are_taken_from_the_command_and_follow_the_kidney(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    poles = Poles(x1=380, y1=380, x2=620, y2=400)
    analyze(AnalyzePlan("phantom:size=960x720,cycle=live", poles=poles, jsonl=out, max_frames=8))
    frames, _ = lines(out)
    assert {frame["crop"]["basis"] for frame in frames} == {"poles"}
    assert [frame["tracking"]["state"] for frame in frames] == ["following"] * 8
    assert frames[0]["crop"]["poles"] == [380, 380, 620, 400]
    assert all(frame["crop"]["poles"] == frame["tracking"]["poles"] for frame in frames)
    assert frames[-1]["crop"]["poles"] != frames[0]["crop"]["poles"]


REAL = [
    ("clips/sonosite_frozen_calipers.mp4", None),
    ("clips/philips_ruq_convex_gallbladder.mp4", Poles(x1=300, y1=200, x2=480, y2=260)),
    ("dicom/philips_cx50_calipers.dcm", None),
    ("dicom/siemens_s2000_6c1_renal.dcm", Poles(x1=400, y1=350, x2=700, y2=380)),
    ("dicom/philips_epiq5g_linear.dcm", None),
    ("dicom/sonosite_turbo_cine30.dcm", None),
]


@pytest.mark.parametrize(("name", "poles"), REAL)
def test_on_real_recordings_the_stand_in_says_nothing(shared_data: Path, name: str, poles: Poles | None) -> None:
    result = analyze(AnalyzePlan(str(shared_data / name), poles=poles, max_frames=20))
    assert result.frames in (1, 20)
    assert result.readings == 0
    assert sum(result.refusals.values()) == result.frames
