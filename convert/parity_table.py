"""The rows of a parity comparison as text, one line a head, for report and terminal alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from convert.plan import LIMITS
from engines.manifest import AucParity, HeadParity, ParityRow


@dataclass(frozen=True, slots=True)
class Line:
    """One head of one artifact. ``near``: flips within reach of a boundary, a coin that fell the other way."""

    artifact: str
    head: str
    unit: str  # empty for probabilities
    p50: str
    p95: str
    p99: str
    largest: str
    flips: int
    near: int
    far: int
    auc: str
    change: str
    maps: str


def lines(rows: Iterable[ParityRow], names: Mapping[str, str] | None = None) -> Iterator[tuple[ParityRow, list[Line]]]:
    """Yield each row with the lines of its heads; ``names`` by head, else the head's own."""
    for row in rows:
        yield row, [_line(row, head, (names or {}).get(head.head, head.head)) for head in row.heads]


def limit_sentences() -> list[str]:
    """Return the limits of every precision but fp32, one sentence each."""
    return [
        f"{precision}: 95 % of |Δ| ≤ {limit.regression_p95:g} and 99 % ≤ {limit.regression_p99:g} times the resolution "
        f"of a regression, no category flip farther than {limit.regression_far:g} times it from a boundary; "
        f"95 % of |Δ P| ≤ {limit.probability_p95:g}, no flip from farther than {limit.probability_far:g} of the cut "
        f"(boosted trees jump from leaf to leaf: theirs is shown, not limited); loss of AUC ≤ {limit.auc_loss:g}; "
        f"map correlation ≥ {limit.map_correlation:g}."
        for precision, limit in LIMITS.items()
        if precision != "fp32"
    ]


def _line(row: ParityRow, found: HeadParity, name: str) -> Line:
    return Line(
        artifact=row.precision if row.family == "any" else f"{row.precision} {row.family}",
        head=name,
        unit="" if found.unit == "1" else found.unit,
        p50=_size(found.p50),
        p95=_size(found.p95),
        p99=_size(found.p99),
        largest=_size(found.largest),
        flips=found.flips,
        near=found.flips - found.flips_far,
        far=found.flips_far,
        auc="" if found.auc is None else _auc(found.auc),
        change="" if found.auc is None else f"{found.auc.change:+.4f}",
        maps="" if found.map_correlation is None else f"{found.map_correlation:.3f}",
    )


def _size(value: float) -> str:
    if 0 < value < 0.0005:
        return "<0.001"
    return f"{value:.3f}" if value < 100 else f"{value:.4g}"


def _auc(found: AucParity) -> str:
    return f"{found.value:.3f} ({found.low:.2f}-{found.high:.2f})"
