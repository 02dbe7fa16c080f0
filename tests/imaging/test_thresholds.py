"""The limits of the quality gate: by scanner, by layout, and the operator's own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.quality import LIMITS, QualityRules, judge
from edge_app.imaging.thresholds import Thresholds, find_maker, load_thresholds
from engines.errors import UsageError


def lines(*texts: str) -> list[TextLine]:
    return [TextLine(text, (0, 0, 9, 9), 0.97) for text in texts]


def test_the_shipped_default_is_what_the_code_says_and_names_every_rule() -> None:
    shipped = load_thresholds()
    assert shipped.rules() == QualityRules()
    assert set(shipped.default.model_dump(exclude_none=True)) == {field for field, *_ in LIMITS}


def test_a_dark_map_of_a_known_maker_is_not_called_too_dark() -> None:
    shipped = load_thresholds()
    assert [f.code for f in judge({"mean": 25.0}, shipped.rules())] == ["dark_mean"]
    assert judge({"mean": 25.0}, shipped.rules("sonosite")) == ()
    assert [f.hard for f in judge({"mean": 5.0}, shipped.rules("sonosite"))] == [True]


def test_the_operators_file_wins_and_leaves_the_rest(tmp_path: Path) -> None:
    own = tmp_path / "quality.toml"
    text = "[default]\nshadow = [0.1, 0.2]\n[layout.ab12]\ndark_mean = [10, 5]\n[maker.sonosite]\ncontrast = [9, 4]\n"
    own.write_text(text)
    rules = load_thresholds(own)
    assert rules.rules().shadow == (0.1, 0.2) and rules.rules().dark == QualityRules().dark
    assert rules.rules("sonosite").contrast == (9, 4) and rules.rules("sonosite").dark_mean == (20, 8)
    assert rules.rules("sonosite", "ab12").dark_mean == (10, 5)


@pytest.mark.parametrize(
    "text, told",
    [
        ("[default]\nsharpnes = [1, 2]\n", "sharpnes"),
        ("[default]\nshadow = 0.3\n", "shadow"),
        ("[default]\nshadow = [nan, 1]\n", "shadow"),
        ("[default\n", "no readable TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    own = tmp_path / "quality.toml"
    own.write_text(text)
    with pytest.raises(UsageError, match=told):
        load_thresholds(own)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no readable TOML"):
        load_thresholds(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "texts, maker",
    [
        (("PHILIPS", "MI 1.1"), "philips"),
        (("SIEMENS", "6C1 HD"), "siemens"),
        (("LOGIQ E9", "GE"), "ge"),
        (("Gen THI", "DR 60"), None),
        (("GE", "PHILIPS"), None),  # a hospital with both in its name
        ((), None),
    ],
)
def test_the_maker_is_read_from_the_screen(texts: tuple[str, ...], maker: str | None) -> None:
    assert find_maker(lines(*texts)) == maker


@given(st.sampled_from(LIMITS), st.floats(-10, 300), st.floats(-10, 300))
def test_a_worse_measure_never_gets_a_milder_verdict(
    limit: tuple[str, str, str, str], one: float, other: float
) -> None:
    name, measure, side, _ = limit

    def weight(value: float) -> int:
        return sum(2 if fault.hard else 1 for fault in judge({measure: value}) if fault.code == name)

    better, worse = sorted((one, other), reverse=side == "low")
    assert weight(worse) >= weight(better)


def test_every_rule_tells_the_operator_what_to_do() -> None:
    for name, _, _, reason in LIMITS:
        assert name in asdict(QualityRules())
        assert ":" in reason or "," in reason


def test_thresholds_cross_a_file_whole() -> None:
    shipped = load_thresholds()
    assert Thresholds.model_validate_json(shipped.model_dump_json()) == shipped
