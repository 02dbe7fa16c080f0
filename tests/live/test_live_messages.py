"""Messages: what is sent is what is heard, and what would end the other side is never sent."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_app.live.messages import Poles, Report, SetLength, SetPoles, decode_down, decode_up, encode
from edge_app.live.report import FrameReport, QualityReport


def report(value: float) -> Report:
    quality = QualityReport(grade="diagnostic", faults=(), measures={"contrast": value})
    return Report(
        report=FrameReport(
            frame=1,
            t_ms=2.0,
            generation=0,
            state="LIVE",
            frozen=False,
            sector=None,
            calipers=(),
            px_per_cm=None,
            crop=None,
            quality=quality,
            refusal=None,
            reading=None,
            readout=None,
            timings_ms={},
        ),
        crop_rgb=bytes(range(256)),
        crop_size=(8, 8),
    )


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_poles_arrive_as_they_were_placed(x: float, y: float) -> None:
    sent = SetPoles(poles=Poles(x1=x, y1=y, x2=-y, y2=-x), generation=3)
    assert decode_down(encode(sent)) == sent


@pytest.mark.parametrize("length_cm", [10.4, None])
def test_a_typed_length_arrives_as_it_was_typed(length_cm: float | None) -> None:
    assert decode_down(encode(SetLength(length_cm=length_cm))) == SetLength(length_cm=length_cm)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -1.0, 41.0])
def test_a_length_that_is_none_cannot_be_sent(wrong: float) -> None:
    with pytest.raises(ValidationError):
        SetLength(length_cm=wrong)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_handle_that_is_nowhere_cannot_be_sent(wrong: float) -> None:
    with pytest.raises(ValidationError):
        Poles(x1=wrong, y1=0, x2=1, y2=1)


def test_a_report_arrives_with_its_crop() -> None:
    sent = report(0.5)
    assert decode_up(encode(sent)) == sent
