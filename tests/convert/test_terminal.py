"""What every convert command says when it refuses or is cancelled."""

from __future__ import annotations

import pytest
import typer

from convert.parity import ParityError
from convert.terminal import boundary
from engines.manifest import ParityRow

ROW = ParityRow(
    precision="int8",
    family="cpu",
    crops=200,
    egfr_p50=1.0,
    egfr_p95=7.25,
    egfr_p99=8.0,
    egfr_max=9.0,
    category_flips=3,
    category_flips_far=2,
    p_max=0.4,
    auc_change=-0.1,
    cam_correlation=0.5,
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
