"""What terminals and captions say of each kind of head."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_app.live import phrases, reports
from edge_app.live.phrases import amount, chance, declared, digits_of
from edge_app.live.report import FrameReport
from edge_app.snapshot import caption
from engines.kdigo import category_range
from engines.values import Value

from .live_makers import BELOW_60, ECHOES, EGFR, SHIFT, below_60, bright, echoes, egfr, reading_of, shift


def said(*values: Value) -> list[str]:
    return phrases.phrases([reports.value(value) for value in values])


def test_an_egfr_is_told_with_interval_category_range_and_probability() -> None:
    assert said(egfr(50.0), below_60(0.7)) == [
        "image-derived eGFR estimate (research use) 50 mL/min/1.73 m2, 90% interval 35 to 65, G2-G3b",
        "P(eGFR<60) 0.70",
    ]
    assert category_range(35.0, 65.0) == "G2-G3b"


def test_other_heads_are_told_as_what_they_are_and_the_main_one_for_what_it_is() -> None:
    assert said(shift(-1.234), bright(0.999, 0.999), echoes(0.1, 0.2, 0.7)) == [
        "Cortical shift (image-derived, research use) -1.23 mm, no interval: not calibrated",
        "P(bright cortex) >0.99",
        "Cortical echogenicity: most probable brighter (darker 0.10, alike 0.20, brighter 0.70)",
    ]
    assert said(bright(0.3))[0] == "P(bright cortex) (image-derived, research use) 0.30"
    assert "undecided between alike and brighter" in said(echoes(0.1, 0.42, 0.48))[0]


@pytest.mark.parametrize(("p", "text"), [(0.0, "<0.01"), (0.5, "0.50"), (0.991, ">0.99"), (1.0, ">0.99")])
def test_no_probability_is_told_as_certain(p: float, text: str) -> None:
    assert chance(p) == text


@pytest.mark.parametrize(
    ("value", "resolution", "text"),
    [
        (43.5, 1.0, "44"),
        (44.5, 1.0, "45"),
        (-0.4, 1.0, "0"),
        (131.2, 5.0, "131"),
        (2.345, 0.5, "2.3"),
        (2.0, 0.01, "2.00"),
    ],
)
def test_a_number_has_the_digits_that_matter(value: float, resolution: float, text: str) -> None:
    assert amount(value, resolution) == text
    assert digits_of(resolution) == len(text.partition(".")[2])


def test_a_bundle_tells_in_one_line_what_each_head_is() -> None:
    assert declared(EGFR) == "egfr: Image-derived eGFR, mL/min/1.73 m2, no interval: not calibrated"
    assert declared(BELOW_60) == "p_egfr_below_60: probability of 'eGFR < 60'"
    assert declared(ECHOES.model_copy(update={"map": "m"})).endswith(
        "probabilities of darker, alike, brighter, with map"
    )


def test_a_caption_is_ascii_and_carries_every_head_and_the_bundle() -> None:
    head = SHIFT.model_copy(update={"title": "Größe", "unit": "cm²"})
    marked = replace(shift(1.0), head=head)
    reading = reports.reading(reading_of(marked, bright(0.3)))
    report = FrameReport(
        frame=3,
        t_ms=100.0,
        generation=0,
        state="LIVE",
        frozen=False,
        sector=None,
        calipers=(),
        px_per_cm=None,
        crop=None,
        quality=None,
        refusal=None,
        reading=reading,
        readout=None,
        timings_ms={},
    )
    lines = caption(report)
    assert all(line.isascii() for line in lines)
    text = "\n".join(lines)
    for part in ("research use", "1.00 cm2", "P(bright cortex) 0.30; test 1, fp32", "SYNTHETIC", "frame 3, 0.10 s"):
        assert part in text
    assert "eGFR" not in text
