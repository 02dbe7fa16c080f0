"""The bottom line gives up the least important first, and never the source's name."""

from __future__ import annotations

import sys

import pytest

from edge_app.ui.status_line import Figures, compact, counts, fit, identity, joined, middle

conftest = sys.modules[next(name for name in sys.modules if name.endswith("ui.conftest"))]
FIGURES = Figures({"sector": 2.0, "total": 18.0}, 30.0, 29.0, 12.0, skipped=1234, dropped=0, torn=3)


def line(width: int) -> str:
    parts = (*identity(conftest.started().source, conftest.model(), "onnxruntime fp32"), *counts(FIGURES))
    return joined(fit(parts, width, len))


def test_with_room_all_is_said() -> None:
    said = line(400)
    for part in ("Phantom, 960x720", "signed by Ward 7", "onnxruntime fp32", "ms: sector 2 total 18", "30 in/s"):
        assert part in said
    assert said.endswith("1234 not analysed, 0 dropped, 3 torn")


def test_what_matters_least_goes_first() -> None:
    lengths = range(220, 20, -1)
    lines = [line(length) for length in lengths]
    gone = [next(at for at, said in enumerate(lines) if part not in said) for part in ("sector", "Ward 7", "onnx", "1")]
    assert gone[:3] == sorted(gone[:3])
    assert all(said.startswith("Phantom") and "torn" in said for said in lines)
    assert all(len(said) <= length for said, length in zip(lines, lengths, strict=True) if length > 60)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0"), (999, "999"), (1234, "1.2k"), (34_567, "34k"), (56_000_000, "56M")]
)
def test_large_counts_are_compact(count: int, said: str) -> None:
    assert compact(count) == said


def test_a_name_is_cut_in_its_middle() -> None:
    assert middle("Ultraschall Zimmer 12", 14) == "Ultrasc…mer 12"
    assert middle("Grabber", 14) == "Grabber"
