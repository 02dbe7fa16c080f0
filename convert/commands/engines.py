"""Commands ``build`` and ``engines``: arguments to a plan, a record to a table, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from convert.terminal import boundary, err, out
from engines.errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from convert.progress import Progress as Report
    from convert.tensorrt_engine import Made
    from engines.engine_record import EngineRecord
    from engines.store import EngineStore, Entry, Here

NAME_SHOWN = 16
STYLES = {"good": "green", "failed": "red", "corrupt": "red", "stale": "yellow", "foreign": "dim"}
engines = typer.Typer(help="Look after the engines that were built on this machine.", no_args_is_help=True)

Store = Annotated[Path | None, typer.Option("--out", help="The engine store; default: ECHOGFR_ENGINES or the cache.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(build)
    app.add_typer(engines, name="engines")


def build(
    bundle: Annotated[Path, typer.Argument(help="A bundle: the folder that holds manifest.json.")],
    runtime: Annotated[str | None, typer.Option(help="tensorrt or tensorrt-rtx; default: what is installed.")] = None,
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8.")] = "fp16",
    compute_capability: Annotated[
        list[str] | None, typer.Option(help="Build ahead of time for it, as 8.6; may be given again.")
    ] = None,
    dla: Annotated[int | None, typer.Option(help="Build for this DLA core of a Jetson.")] = None,
    workspace: Annotated[int | None, typer.Option(help="Most MiB of GPU memory for intermediate results.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Build also what is in the store already.")] = False,
    folder: Store = None,
) -> None:
    """Build an engine from a bundle's artifact, for this machine's GPU or ahead of time for others.

    Of a model whose members are separate artifacts: one engine for each.
    """
    with boundary("Cancelled: the engine store holds what was finished before, and nothing else."):
        from convert.tensorrt_engine import build_engines
        from convert.tensorrt_library import load_library
        from convert.tensorrt_plan import Wish, make_plans
        from engines.bundle import open_bundle

        opened, library = open_bundle(bundle), load_library(runtime)
        plans = make_plans(opened, library, Wish(precision, tuple(compute_capability or ()), dla, workspace))
        store = _store(folder)
        with _progress() as report:
            made = build_engines(opened, plans, store, report, again)
        _show_layers([each.record for each in made])
        for each in made:
            _show(store, each)
        if made[0].record.key.target.gpu is None:
            out.print("It has not been run: that needs such a GPU.")


@engines.command("list")
def show(folder: Store = None) -> None:
    """List the engines that were built here, and what each is worth."""
    with boundary():
        _print_entries(_store(folder).entries(this_machine()))


@engines.command()
def prune(
    folder: Store = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove good engines and timing caches too.")] = False,
) -> None:
    """Remove engines that are corrupt, stale or failed and what unfinished builds left; files of others stay."""
    with boundary():
        removed = _store(folder).prune(this_machine(), everything)
        size = sum(entry.record.size_bytes for entry in removed if entry.record)
        out.print(f"Removed: {len(removed)} ({size / 1e6:.1f} MB).")


@engines.command()
def rollback(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The engine, as the list shows it, or its first digits.")],
    folder: Store = None,
) -> None:
    """Go back to the engine that the last build replaced; the same again goes forward."""
    with boundary():
        record = _store(folder).rollback(key)
        built = f"{record.created:%Y-%m-%d %H:%M}"
        out.print(f"Current is the engine of {record.artifact} that was built on {built} (UTC).", soft_wrap=True)


@engines.command()
def verify(folder: Store = None) -> None:
    """Verify the hash of every engine; exit code 1 if one is corrupt, stale or failed."""
    with boundary():
        entries = _store(folder).entries(this_machine())
        _print_entries(entries)
        if any(entry.state in ("corrupt", "stale", "failed") for entry in entries):
            raise typer.Exit(1)


def _store(folder: Path | None) -> EngineStore:
    from engines.store import EngineStore, store_folder

    return EngineStore((folder or store_folder()).absolute())


def this_machine() -> Here:
    """Return what this machine has; a library that is absent says nothing against an engine."""
    from typing import get_args

    from convert.tensorrt_library import load_library
    from engines.gpu import NoGpuError, read_gpu
    from engines.libraries import RuntimeName
    from engines.store import Here

    versions: dict[RuntimeName, str] = {}
    for name in get_args(RuntimeName):
        try:
            versions[name] = load_library(name).builder.version
        except RuntimeUnavailableError:
            continue
    try:
        return Here(read_gpu(), versions)
    except NoGpuError:
        return Here(None, versions)


def _show_layers(records: list[EngineRecord]) -> None:
    """Print what became of the convolutions, of all members together."""
    of = records[0].artifact if len(records) == 1 else f"{len(records)} members at {records[0].precision}"
    table = Table(title=f"Convolutions of {of}")
    for heading in ("precision", "planned", "compiled"):
        table.add_column(heading, justify="left" if heading == "precision" else "right")
    for name in ("Int8", "Half", "Float", "Unknown"):
        planned = sum(record.layers.planned.get(name, 0) for record in records)
        compiled = sum(record.layers.compiled.get(name, 0) for record in records)
        if planned or compiled:
            table.add_row(name, str(planned), str(compiled))
    out.print(table)


def _show(store: EngineStore, made: Made) -> None:
    record = made.record
    for fallback in record.layers.fallbacks:
        err.print(f"WARNING: {escape(fallback)}", style="bold red", soft_wrap=True)
    for warning in record.warnings:
        err.print(f"Warning: {escape(warning)}", style="yellow", soft_wrap=True)
    builder = f"{record.key.builder.runtime} {record.key.builder.version}"
    begin = "In the store already (--again builds it anew), built" if made.kept else "Built"
    out.print(
        f"{begin} in {record.build_seconds:.1f} s by {builder} for {record.key.target}, "
        f"{record.size_bytes / 1e6:.1f} MB: {store.folder / record.engine}",
        soft_wrap=True,
    )


def _print_entries(entries: list[Entry]) -> None:
    table = Table()
    for heading in ("engine", "state", "of", "built by", "for", "MB", "why"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        kept = ", previous" if entry.previous else ""
        state = f"[{STYLES[entry.state]}]{entry.state}[/]{kept}"
        table.add_row(escape(entry.name[:NAME_SHOWN]), state, *_told(entry.record), escape(entry.reason))
    out.print(table if entries else "The engine store is empty.")


def _told(record: EngineRecord | None) -> tuple[str, str, str, str]:
    if record is None:
        return ("", "", "", "")
    builder = record.key.builder
    return (
        f"{record.bundle_id} {record.artifact}",
        f"{builder.runtime} {builder.version}",
        escape(str(record.key.target)),
        f"{record.size_bytes / 1e6:.1f}",
    )


@contextmanager
def _progress() -> Iterator[Report]:
    """Yield a reporter that shows the phases that run now; finished ones leave the screen."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if done >= total:
                if stage in tasks:
                    bars.remove_task(tasks.pop(stage))
                return
            if stage not in tasks:
                tasks[stage] = bars.add_task(escape(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report
