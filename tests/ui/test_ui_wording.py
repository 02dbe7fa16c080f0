"""What the window says in words and numbers."""

from __future__ import annotations

import pytest

from edge_app.ui import wording
from edge_app.ui.panel import describe
from edge_app.ui.situation import Situation
from edge_app.ui.words import KDIGO, members


@pytest.mark.parametrize(
    ("egfr", "shown"),
    [(43.4, "43"), (43.5, "44"), (44.5, "45"), (59.4, "59"), (60.0, "≥60"), (74.2, "≥60"), (0.2, "0"), (-3.0, "0")],
)
def test_the_value_is_a_whole_number_below_sixty_and_modest_above(egfr: float, shown: str) -> None:
    assert wording.headline(egfr) == shown


def test_the_interval_names_its_level_and_no_sign_is_taken_for_a_dash() -> None:
    assert wording.interval("28", "64", 0.9) == "28–64 (90 %)"
    assert wording.interval("−4", "9", 0.8) == "−4 to 9 (80 %)"


@pytest.mark.parametrize(("p", "shown"), [(0.0, "< 1"), (0.004, "< 1"), (0.86, "86"), (0.999, "> 99"), (1.0, "> 99")])
def test_a_probability_is_never_certain(p: float, shown: str) -> None:
    assert wording.percent(p) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [("G3a-G4", ("G3a", "G3b", "G4")), ("G4-G3a", ("G3a", "G3b", "G4")), ("G5", ("G5",)), ("?", ())],
)
def test_the_ramp_frames_each_category_of_the_range(text: str, expected: tuple[str, ...]) -> None:
    assert members(text, KDIGO) == expected


@pytest.mark.parametrize(("age_ms", "shown"), [(0.0, "0.0 s"), (120.0, "0.1 s"), (949.0, "0.9 s"), (3200.0, "3 s")])
def test_an_age_is_told_in_seconds(age_ms: float, shown: str) -> None:
    assert wording.age(age_ms) == shown


def test_before_anything_came_the_panel_says_that_it_waits() -> None:
    panel = describe(Situation())
    assert panel.number is None
    assert (panel.badge, panel.notice) == ("STARTING", "Waiting for the first picture …")


def test_an_unknown_model_counts_as_synthetic() -> None:
    assert Situation(model=None).synthetic == wording.SYNTHETIC_MODEL
