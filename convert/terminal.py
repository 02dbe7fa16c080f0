"""What every command of the terminal shares: errors as one sentence, stages as bars, Ctrl-C as an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from convert.progress import Progress
from engines.errors import EchoGFRError

USER_ERROR, CANCELLED = 2, 130

err = Console(stderr=True)
out = Console()


@contextmanager
def boundary(cancelled: str | None = None) -> Iterator[None]:
    """Turn an error that a person can act on into one sentence and exit code 2, and Ctrl-C into ``cancelled``.

    The table of a refused parity stands before its sentence. Without ``cancelled`` Ctrl-C is the caller's.
    """
    try:
        yield
    except EchoGFRError as error:
        rows = getattr(error, "rows", ())
        if rows:
            from convert.overview import parity_table

            err.print(parity_table(rows))
        for trade in getattr(error, "trades", ()):
            err.print("\n".join([f"{trade.sentence}.", *trade.lines]), soft_wrap=True, markup=False, highlight=False)
        err.print(error.sentence, style="red", soft_wrap=True, markup=False, highlight=False)
        raise typer.Exit(USER_ERROR) from error
    except KeyboardInterrupt:
        if cancelled is None:
            raise
        err.print(cancelled, soft_wrap=True, markup=False, highlight=False)
        raise typer.Exit(CANCELLED) from None


@contextmanager
def bars() -> Iterator[Progress]:
    """Yield a reporter that shows each stage as a bar with the time that remains."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=err) as shown:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total)
            shown.update(tasks[stage], completed=done, total=total)

        yield report
