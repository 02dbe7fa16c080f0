"""``echogfr-convert calibration``: sources to one set without a name of anybody, and a check that notices changes."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from convert.commands.calibration import register
from convert.crops.collect import CollectPlan, collect
from convert.crops.gather import Wish
from convert.progress import silent
from engines.errors import UsageError
from engines.manifest import GradesHead, InputSpec

from .crops_makers import (
    SIDE,
    SPEC,
    crop_rows,
    frame_rows,
    picture,
    read,
    refused,
    report_line,
    save,
    write_report,
    write_table,
    write_video,
)

ENVIRONMENT = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def invoke(*arguments: str | Path):
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(
        app, ["calibration", "--size", str(SIDE), "--without-ocr", *map(str, arguments)], env=ENVIRONMENT
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """260 crops of 130 patients with names, in a folder named after one of them."""
    root = tmp_path / "Roe_Jane_1950"
    rows = [{**row, "dilation": ("mild", "none")[at % 2]} for at, row in enumerate(crop_rows(root, 260))]
    write_table(root / "labels.csv", rows)
    return root


@pytest.fixture
def collected(source: Path, tmp_path: Path) -> Path:
    done = invoke(source, "--out", tmp_path / "set", "--label", "dilation")
    assert done.exit_code == 0, done.output
    return tmp_path / "set"


def test_the_counts_are_shown_by_scanner_and_band(source: Path, tmp_path: Path) -> None:
    said = invoke(source, "--out", tmp_path / "set").stdout
    lines = [" ".join(line.split()) for line in said.splitlines()]
    for text in ("all 260 130", "E9 130 65", "P3 130 65", "G5, below 15 10 5", "G3a, 45 to 60 30 15"):
        assert text in lines, text
    assert "A conversion would keep 52 crops of whole patients apart for parity." in lines
    assert any("260 crops are fewer than the 500 that are advised" in line for line in lines)
    assert "Jane" not in said.replace(str(tmp_path), "")


def test_a_set_reads_as_its_source_and_carries_no_name(source: Path, collected: Path) -> None:
    head = GradesHead(name="dilation", title="D", output="dilation_members", grades=("none", "mild"))
    first, second = read(source, (head,)), read(collected, (head,))
    assert first.sha256 == second.sha256 and np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.held, second.held) and first.scanners.tolist() == second.scanners.tolist()
    for name in ("egfr", "dilation"):
        assert np.array_equal(first.truth[name], second.truth[name])
    assert first.counts == second.counts
    texts = [(collected / name).read_text() for name in ("labels.csv", "dataset.json")]
    assert not any(word in text for text in texts for word in ("Jane", "Roe", str(source.parent), "c0.png"))
    assert sorted(path.name for path in collected.iterdir()) == ["crops", "dataset.json", "labels.csv"]
    facts = json.loads(texts[1])
    assert facts["crop_mode"] == "square" and (facts["height"], facts["width"]) == (SIDE, SIDE)
    assert facts["counts"]["patients"] == 130 and not facts["synthetic"]


def test_check_counts_again_and_notices_every_change(collected: Path) -> None:
    done = invoke(collected, "--check")
    assert (
        done.exit_code == 0 and "Its hashes are right" in done.stdout and "all 260 130" in " ".join(done.stdout.split())
    )
    table = collected / "labels.csv"
    text = table.read_text()
    table.write_text(text.replace("E9", "E8", 1))
    assert "its labels.csv was changed after it was written" in invoke(collected, "--check").stderr
    table.write_text(text)
    victim = collected / "crops" / rows_of(table)[3]["crop"]
    save(victim, picture(4444))
    assert "its crops are not those that its hash was made of" in invoke(collected, "--check").stderr
    assert "its crops are not those" in refused(collected), "a conversion refuses it, too"


def test_a_set_is_used_as_it_was_cut_or_not_at_all(collected: Path) -> None:
    other = InputSpec(name="c", height=SIDE, width=SIDE, crop_mode="legacy_tight", crop_factor=1.1)
    said = refused(collected, spec=other)
    assert "cut square x 1 at 40 x 40 and legacy_tight x 1.1 at 40 x 40 is asked for" in said
    assert f"with --crop-mode legacy_tight --crop-factor 1.1 --size {SIDE}" in said
    (collected / "dataset.json").write_text('{"kind": "echogfr calibration set", "version": 2}')
    assert "its dataset.json cannot be understood" in refused(collected)


def test_the_key_says_who_is_who_to_its_owner_only(source: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.csv"
    done = invoke(source, "--out", tmp_path / "set", "--key", key)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    known = {row["crop"]: row for row in rows_of(key)}
    written = {row["crop"]: row for row in rows_of(tmp_path / "set" / "labels.csv")}
    assert known.keys() == written.keys()
    by_line = {f"line {at + 2}": row for at, row in enumerate(rows_of(source / "labels.csv"))}
    for name, row in known.items():
        original = by_line[row["place_in_source"]]
        assert row["patient_in_source"] == original["patient"] and row["patient"] == written[name]["patient"]
        assert written[name]["egfr"] == original["egfr"]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("set/key.csv", "it would travel with the set"),
        ("there.csv", "it exists already"),
        ("absent/key.csv", "its folder is missing or closed"),
    ],
)
def test_a_key_that_cannot_be_kept_is_refused_early(source: Path, tmp_path: Path, key: str, text: str) -> None:
    (tmp_path / "there.csv").write_text("mine")
    done = invoke(source, "--out", tmp_path / "set", "--key", tmp_path / key)
    assert done.exit_code == 2 and text in done.stderr
    assert not (tmp_path / "set").exists() and (tmp_path / "there.csv").read_text() == "mine"


def test_several_sources_of_every_kind_become_one_set(source: Path, tmp_path: Path) -> None:
    frames, videos = tmp_path / "frames", tmp_path / "videos"
    rows = frame_rows(frames, 20)
    for row, at in zip(rows, range(20), strict=True):
        save(frames / row["frame"], picture(1000 + at, 100, 80))
    write_table(frames / "labels.csv", rows)
    write_video(videos / "clip.avi", [picture(2000 + at, 100, 80) for at in range(4)])
    write_report(videos / "clip.jsonl", [report_line(at, (20, 40, 60, 40)) for at in range(4)])
    collect(CollectPlan((source, frames, videos), tmp_path / "set", Wish(SPEC)), silent)  # noise is no screen to mask
    crops = read(tmp_path / "set")
    assert len(crops) == 260 + 20 + 4
    assert crops.counts.patients == 130 + 1, "Jane 0 to Jane 19 of two tables are the same persons; one video"
    assert any("20 patients' names are in several sources" in text for text in crops.remarks)
    assert any("4 crops come without a patient's name" in text for text in crops.remarks)


def test_patients_of_two_sets_are_not_mixed_up(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 5000)):
        rows = crop_rows(tmp_path / name, 200)
        for at, row in enumerate(rows):
            save(tmp_path / name / "crops" / row["crop"], picture(first + at))
        write_table(tmp_path / name / "labels.csv", rows)
        assert invoke(tmp_path / name, "--out", tmp_path / f"{name}-set").exit_code == 0
    done = invoke(tmp_path / "a-set", tmp_path / "b-set", "--out", tmp_path / "both")
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "both").counts.patients == 200, "p0001 of one is not p0001 of the other"
    assert invoke(tmp_path / "a-set", tmp_path / "a-set", "--out", tmp_path / "twice").exit_code == 0
    assert read(tmp_path / "twice").sha256 == read(tmp_path / "a-set").sha256


def test_places_in_several_sources_are_named_with_their_source(source: Path, tmp_path: Path) -> None:
    rows = crop_rows(tmp_path / "second", 3)
    rows[1]["egfr"] = "many"
    write_table(tmp_path / "second" / "labels.csv", rows)
    done = invoke(source, tmp_path / "second", "--out", tmp_path / "set")
    assert done.exit_code == 2
    assert "The 2 sources together cannot serve as calibration crops" in done.stderr
    assert "(second: line 3)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "no place for it is given"),
        (("--out", "set", "--label", "Patient"), "'patient' is no name of a label"),
        (("--out", "set", "--label", "stone"), "no table has a value in the column stone"),
        (("--check",), "it has no dataset.json of a calibration set"),
        (("--check", "--out", "set"), "--check looks at one set and writes nothing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = invoke(source, *arguments)
    assert done.exit_code == 2 and text in done.stderr
    assert "Traceback" not in done.stderr and sorted(tmp_path.iterdir()) == before


def test_force_replaces_a_set_and_never_another_data_set(source: Path, collected: Path, tmp_path: Path) -> None:
    assert "it exists already" in invoke(source, "--out", collected).stderr
    assert invoke(collected, "--out", collected, "--force").exit_code == 0, "a set may be collected from itself"
    other = tmp_path / "phantom"
    other.mkdir()
    (other / "dataset.json").write_text('{"synthetic": true}')
    assert "another data set and would be lost" in invoke(source, "--out", other, "--force").stderr
    assert (other / "dataset.json").is_file()


def test_cancelling_leaves_everything_as_it_was(source: Path, tmp_path: Path) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "writing crops" and done == 100:
            raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    plan = CollectPlan((source,), tmp_path / "set", Wish(SPEC), key=tmp_path / "key.csv")
    with pytest.raises(KeyboardInterrupt):
        collect(plan, cancel)
    assert sorted(tmp_path.iterdir()) == before


def test_a_set_of_the_phantom_says_synthetic(source: Path, tmp_path: Path) -> None:
    (source / "dataset.json").write_text('{"synthetic": true}')
    done = invoke(source, "--out", tmp_path / "set")
    assert "SYNTHETIC" in done.stdout
    crops = read(tmp_path / "set")
    assert crops.simulated and not crops.labelled("egfr").any()
    assert {row["egfr"] for row in rows_of(tmp_path / "set" / "labels.csv")} == {""}


def test_too_few_are_not_collected(tmp_path: Path) -> None:
    write_table(tmp_path / "few" / "labels.csv", crop_rows(tmp_path / "few", 199))
    with pytest.raises(UsageError, match="it holds 199 and at least 200 are needed"):
        collect(CollectPlan((tmp_path / "few",), tmp_path / "set", Wish(SPEC)), silent)
    assert not (tmp_path / "set").exists()
