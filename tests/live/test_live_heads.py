"""Each kind of head the whole way: phantom, pipeline, real ONNX model, report, fusion, window; and ``analyze``."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from edge_app import cli
from edge_app.capture.open import open_source
from edge_app.live.messages import WorkerPlan
from edge_app.live.supervisor import Supervisor
from edge_app.ui import theme, wording
from edge_app.ui._qt import QApplication, QLabel
from edge_app.ui.main_window import MainWindow
from engines.preprocess import CropBox, extract

from .live_bundles import GRADES, HEADS, SIDE, answers, write_bundle

PHANTOM = "phantom:seed=3,size=960x720,fps=10,cycle=0.5/0.5/60"
KEYS = {"regression": "value", "probability": "p", "grades": "p"}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {kind: write_bundle(folder / kind, kind) for kind in HEADS}


def crop_of(record: dict[str, Any]) -> NDArray[np.uint8]:
    """The crop that a line of the output speaks of, cut once more from the source."""
    with open_source(PHANTOM) as source:
        for _ in range(record["frame"] + 1):
            frame = source.read()
    assert frame is not None
    edges = (record["crop"][name] for name in ("x0", "y0", "x1", "y1"))
    return extract(frame.pixels, CropBox(*edges, "square"), SIDE, SIDE)


@pytest.mark.parametrize("kind", HEADS)
def test_analyze_gives_every_head_in_the_order_of_the_bundle(
    bundles: dict[str, Path],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ["analyze", PHANTOM, "--bundle", str(bundles[kind]), "--max-frames", "18", "--json"]
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the command takes SIGTERM as Ctrl-C
    monkeypatch.setattr(sys, "argv", ["echogfr", *arguments, "--jsonl", str(out)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    *frames, last = [json.loads(line) for line in out.read_text().splitlines()]
    assert json.loads(capsys.readouterr().out) == last
    read = [frame for frame in frames if frame["reading"] is not None]
    said = {value["head"]: value for value in read[0]["reading"]["values"]}
    truth = {name: answer[0] for name, answer in answers(crop_of(read[0])[None]).items()}
    assert next(iter(said.values()))["kind"] == kind
    assert said["shift"]["value"] == pytest.approx(float(truth["shift_members"].mean()), abs=2e-3)
    assert (said["shift"]["low"], said["shift"]["level"], said["shift"]["unit"]) == (None, None, "mm")
    assert said["bright"]["members"] == pytest.approx(truth["bright_members"].tolist(), abs=2e-3)
    assert said["echo"]["p"] == pytest.approx(truth["echo_members"].mean(axis=0).tolist(), abs=2e-3)
    top = said["echo"]["top"]
    assert np.allclose(said["echo"]["map"], truth["echo_map"][top], atol=0.01)
    fused = read[-1]["readout"]["values"]
    assert [value["head"] for value in fused] == list(said)
    main = last["median_reading"]["values"][0]
    assert main["kind"] == kind
    assert main[KEYS[kind]] == pytest.approx(fused[0][KEYS[kind]], abs=0.05)


@pytest.mark.parametrize("kind", HEADS)
def test_the_window_shows_the_main_head_large_and_the_others_below(
    bundles: dict[str, Path], kind: str, qapp: QApplication, qtbot: QtBot
) -> None:
    theme.apply(qapp)
    window = MainWindow(Supervisor(WorkerPlan(source=PHANTOM, bundle=str(bundles[kind]))))
    qtbot.addWidget(window)
    window.show()
    window.start()
    qtbot.waitUntil(lambda: window.readout.number_is_shown, timeout=30_000)
    report = window.situation.report
    text = "\n".join(label.text() for label in window.readout.findChildren(QLabel) if label.isVisible())
    headline, grades = window.readout.number.headline.text(), window.readout.number.bars.grades
    others = [line.toolTip() for line in window.readout.number.others.lines]
    title, caption = window.trend.title(), _map_caption(window)
    window.close()
    assert report is not None and report.readout is not None
    said = {value.kind: value for value in report.readout.values}
    number, chance, shares = said["regression"], said["probability"], said["grades"]
    assert number.kind == "regression" and chance.kind == "probability" and shares.kind == "grades"
    texts = {
        "regression": (wording.figure(number.value, 0.1), "mm", "No interval: not calibrated", "Cortical shift"),
        "probability": (wording.percent(chance.p), "%", "P(bright cortex)", "2 networks say"),
        "grades": (wording.percent(shares.p[shares.top]), "%", shares.grade, "Cortical echogenicity"),
    }
    assert headline == texts[kind][0]
    assert all(part in text for part in texts[kind])
    assert [bar.name for bar in grades] == (list(GRADES) if kind == "grades" else [])
    lines = {
        "regression": f"Cortical shift  {wording.figure(number.value, 0.1)} mm, no interval",
        "probability": f"P(bright cortex)  {wording.percent(chance.p)} %",
        "grades": f"Cortical echogenicity  {shares.grade} {wording.percent(shares.p[shares.top])} %",
    }
    assert others == [told for other, told in lines.items() if other != kind]
    assert "eGFR" not in text + title and "CKD" not in text
    assert "research use" in text and "one time point" in text
    assert caption == wording.MAP_CAPTION


def _map_caption(window: MainWindow) -> str:
    window.toggle_map()
    return window.inset.caption()
