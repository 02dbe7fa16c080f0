"""The log: what a person finds in it after something went wrong, and what is never in it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_app.live.journal import Journal, defect, first_line, told
from edge_app.live.messages import (
    Ended,
    Failed,
    Lost,
    ModelSummary,
    Recovered,
    Report,
    SourceSummary,
    Started,
    WorkerPlan,
)
from edge_app.log import FILE_BYTES, LOG_VARIABLE, NAMES, OLDER_FILES, Log, log_folder
from edge_app.settings import load_settings

SECRET = "DOE_JANE_1950"
MODEL = ModelSummary(
    bundle_id="b",
    version="1",
    title="t",
    sha256="0" * 64,
    synthetic=True,
    members=1,
    heads=(),
    runtime="onnxruntime",
    provider="CPUExecutionProvider 1.31.1",
    precision="fp32",
    selection=("onnxruntime fp32: asked for", "asked for: runtime onnxruntime by --runtime"),
    limits=(),
)
SOURCE = SourceSummary(uri=f"file:/{SECRET}.mp4", title=SECRET, live=False, fps=30.0, size=(8, 8))
STARTED = Started(pid=7, source=SOURCE, model=MODEL)


def lines(folder: Path, name: str = NAMES[0]) -> list[str]:
    return (folder / name).read_text().splitlines()


def heard(folder: Path, *messages: object) -> list[str]:
    log = Log(folder, NAMES[0])
    journal = Journal(log)
    for message in messages:
        journal.hear(message)  # type: ignore[arg-type]
    log.close()
    return lines(folder)


def test_the_first_line_says_what_is_installed_what_runs_and_why(tmp_path: Path) -> None:
    first, *others = heard(tmp_path / "new", STARTED, Lost(cause="no_frames", reason="x"), Recovered(after_ms=900.4))
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d+ EchoGFR \S+, Python 3", first)
    assert "runs onnxruntime fp32 (CPUExecutionProvider 1.31.1) with b 1 SYNTHETIC 000000000000" in first
    assert "asked for: runtime onnxruntime by --runtime" in first
    told_later = [line.split(" ", 2)[2] for line in others]
    assert told_later == ["started: source of kind file, worker 7", "lost: no_frames", "recovered after 900 ms"]


def test_a_model_that_cannot_run_is_the_first_line_too(tmp_path: Path) -> None:
    first, *_ = heard(tmp_path, Failed(scope="model", sentence="The bundle is not read."))
    assert "EchoGFR" in first and "no model runs: failed: model: The bundle is not read." in first


def test_each_further_file_begins_with_the_same_line_and_their_number_is_limited(tmp_path: Path) -> None:
    log = Log(tmp_path, NAMES[0])
    log.begin("the first line")
    for _ in range(12):
        log.say("x" * (FILE_BYTES // 2))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + OLDER_FILES
    assert all(path.read_text().splitlines()[0].endswith("the first line") for path in files)
    assert all(path.stat().st_size <= FILE_BYTES for path in files)


def test_that_a_first_number_was_shown_is_told_once_a_start_and_which_it_was_never(tmp_path: Path) -> None:
    refused, read = (
        Report.model_construct(report=SimpleNamespace(readout=readout))
        for readout in (None, SimpleNamespace(egfr=47.5))
    )
    found = heard(tmp_path, STARTED, refused, read, refused, read, STARTED, read)
    assert [line.split(" ", 2)[2] for line in found].count("first number shown") == 2
    assert not any("47.5" in line for line in found)


def test_a_second_start_is_appended(tmp_path: Path) -> None:
    heard(tmp_path, STARTED)
    found = heard(tmp_path, STARTED)
    assert len(found) == 4 and "EchoGFR" in found[0] and "EchoGFR" in found[2]


def test_a_restarted_worker_that_chose_something_else_is_told(tmp_path: Path) -> None:
    other = STARTED.model_copy(update={"model": MODEL.model_copy(update={"precision": "int8"})})
    found = heard(tmp_path, STARTED, STARTED, other)
    assert ["runs onnxruntime int8" in line for line in found] == [False, False, False, True, False]


def test_no_name_of_a_source_and_no_picture_is_in_it(tmp_path: Path) -> None:
    failed = Failed(scope="source", sentence=f"The file {SECRET}.mp4 cannot be opened.")
    assert SECRET not in "".join(heard(tmp_path, STARTED, failed, Ended(frames=3)))
    try:
        raise ValueError(f"bad file {SECRET}")
    except ValueError as error:
        line = defect(type(error), error.__traceback__)
    assert line.startswith("defect: ValueError in test_no_name_of_a_source") and SECRET not in line
    plain = SOURCE.model_copy(update={"uri": f"/{SECRET}.mp4"})
    assert told(STARTED.model_copy(update={"source": plain})) == "started: source of kind other, worker 7"


def test_a_line_is_one_line(tmp_path: Path) -> None:
    assert "\n" not in first_line(None, "a").strip()
    log = Log(tmp_path, NAMES[0])
    log.begin("first\nline")
    log.say("a\nb")
    log.close()
    assert [line.split(" ", 2)[2] for line in lines(tmp_path)] == ["first line", "a b"]


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = Log(tmp_path / "file" / "logs", NAMES[0])
    log.begin("first")
    log.say("more")
    log.close()
    assert not log.begun


def test_the_folder_is_the_named_one_or_the_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "mine"))
    assert log_folder() == tmp_path / "mine"
    monkeypatch.delenv(LOG_VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert log_folder() == tmp_path / "echogfr" / "log"


@pytest.mark.parametrize(
    ("given", "environment", "file", "asked"),
    [
        ({"runtime": "onnxruntime"}, "tensorrt", "triton", "runtime onnxruntime by --runtime"),
        ({}, "tensorrt", "triton", "runtime tensorrt by ECHOGFR_RUNTIME"),
        ({}, None, "onnxruntime", "runtime onnxruntime by the settings (settings.toml)"),
        ({}, None, None, "nothing by name, so that runtime and precision are chosen automatically"),
    ],
)
def test_who_decided_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given, environment, file, asked) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if environment is not None:
        monkeypatch.setenv("ECHOGFR_RUNTIME", environment)
    if file is not None:
        (tmp_path / "echogfr").mkdir()
        (tmp_path / "echogfr" / "settings.toml").write_text(f'runtime = "{file}"\n')
    settings = load_settings(**given)
    assert settings.asked == asked
    plan = WorkerPlan(source="phantom:", asked=settings.asked, logs=str(tmp_path))
    assert WorkerPlan.model_validate_json(plan.model_dump_json()) == plan
