"""Shows the counts of a calibration set to a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from convert.crops.counts import Counts, Share


def counts_table(counts: Counts) -> Table:
    """Return crops and patients in all, by scanner and by what is true of them."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("", "crops", "patients"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    _rows(table, [Share("all", counts.crops, counts.patients)])
    _part(table, "by scanner", counts.by_scanner)
    for head, shares in counts.by_truth.items():
        _part(table, "by eGFR, mL/min/1.73 m2" if head == "egfr" else f"by {head}", shares)
    return table


def _part(table: Table, title: str, shares: Sequence[Share]) -> None:
    table.add_section()
    table.add_row(f"[bold]{escape(title)}[/bold]", "", "")
    _rows(table, shares)


def _rows(table: Table, shares: Sequence[Share]) -> None:
    for share in shares:
        table.add_row(f"  {escape(share.name)}", str(share.crops), str(share.patients))
