"""What every convert command says when it refuses or is cancelled."""

from __future__ import annotations

import pytest
import typer

from convert.parity import ParityError
from convert.terminal import boundary
from engines.manifest import HeadParity, ParityRow

ROW = ParityRow(
    precision="int8",
    family="cpu",
    crops=200,
    heads=(
        HeadParity(head="egfr", unit="mL/min/1.73 m2", p50=1.0, p95=7.25, p99=8.0, largest=9.0, flips=3, flips_far=2),
    ),
    passed=False,
    reasons=("95 % is 7.25",),
)


def test_a_refused_parity_shows_its_table_and_then_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, boundary("Cancelled."):
        raise ParityError(["int8 for cpu"], [ROW])
    said = capsys.readouterr().err
    assert ended.value.exit_code == 2
    assert 0 < said.index("7.25") < said.index("because")


def test_a_cancelled_command_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, boundary("Cancelled: nothing was written."):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "nothing was written" in capsys.readouterr().err
