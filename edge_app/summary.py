"""Summaries that a person reads in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edge_app.live.phrases import phrases
from edge_app.live.refusals import explain_code

if TYPE_CHECKING:
    from edge_app.analyze import Summary
    from edge_app.capture.probing import Probed, Thumbnail
    from edge_app.deidentify.report import FileReport
    from edge_app.deidentify.report import Report as Deidentified
    from edge_app.doctor import Finding
    from edge_app.self_test import Report

STAGES = ("signal", "sector", "freeze", "calipers", "ruler", "gate", "crop", "infer", "fuse", "total")


def print_summary(summary: Summary) -> None:
    """Print what became of a recording."""
    console = Console(highlight=False)
    mark = " [bold yellow]SYNTHETIC stand-in, no patient's values[/]" if summary.bundle.synthetic else ""
    console.print(f"{summary.source.title} [dim]{summary.source.uri}[/]", soft_wrap=True)
    console.print(f"{summary.bundle.id} {summary.bundle.version} on {summary.runtime} {summary.precision}{mark}")
    if summary.note:
        console.print(f"[bold yellow]{escape(summary.note)}[/]", soft_wrap=True)
    interrupted = ", interrupted" if summary.interrupted else ""
    states = ", ".join(f"{state} {count}" for state, count in summary.states.items())
    console.print(f"{summary.frames} frames{interrupted} ({states}), {summary.readings} with a reading")
    if set(summary.readings_by_runtime) - {summary.runtime}:
        parts = ", ".join(f"{count} by {name}" for name, count in summary.readings_by_runtime.items())
        console.print(f"[bold yellow]Read by more than one runtime[/]: {parts}")
    if summary.median_reading is not None:
        main, *others = (escape(said) for said in phrases(summary.median_reading.values))
        console.print("; ".join([f"[bold]{main}[/]", *others, "medians over the recording, one time point"]))
    if summary.readings_out_of_domain:
        count = summary.readings_out_of_domain
        console.print(f"[bold yellow]{count} readings are OUT OF DOMAIN[/]: shown because it was asked for")
    for code, count in summary.refusals.items():
        console.print(f"{count} refused, [bold]{code}[/]: {explain_code(code)}")
    if summary.latency_ms:
        console.print(_latency(summary.latency_ms))


def print_findings(findings: list[Finding]) -> None:
    """Print what ``doctor`` found."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in findings:
        colour = "green" if finding.good else "red" if finding.needed else "yellow"
        table.add_row(f"[{colour}]{'yes' if finding.good else 'no'}[/]", escape(finding.what), escape(finding.detail))
    Console(highlight=False).print(table)


def print_self_test(report: Report) -> None:
    """Print what ``doctor --self-test`` measured; latency is of one crop."""
    colours = {"passed": "green", "failed": "red", "not run": "yellow"}
    console = Console(highlight=False)
    table = Table("runtime", "precision", "", "p50 ms", "p99 ms", "load s", "by", box=None, padding=(0, 1))
    for row in report.rows:
        times = [f"{row.latency_ms[name]:.1f}" if row.latency_ms else "" for name in ("p50", "p99")]
        load = "" if row.load_s is None else f"{row.load_s:.1f}"
        outcome = f"[{colours[row.outcome]}]{row.outcome}[/]"
        table.add_row(row.runtime, row.precision, outcome, *times, load, escape(row.provider))
    console.print(table)
    for detail in dict.fromkeys(row.detail for row in report.rows):
        console.print(escape(f"  {detail}"), soft_wrap=True)


def print_deidentified(report: Deidentified) -> None:
    """Print what became of each file of ``deidentify``."""
    from edge_app.deidentify.report import Outcome

    console = Console(highlight=False)
    table = Table("", "", "copy", "frames", "shown", "hidden", "words", box=None, padding=(0, 1))
    for file in report.files:
        good = file.outcome == "written"
        colour = {"written": "green", "refused": "red"}.get(file.outcome, "dim")
        facts = _copy_facts(file) if good else [escape(file.refusal or ""), "", "", "", ""]
        table.add_row(str(file.number), f"[{colour}]{file.outcome}[/]", *facts)
    console.print(table)
    counts = [f"{report.count(outcome)} {outcome}" for outcome in get_args(Outcome)]
    console.print(f"{', '.join(counts)}.{' Interrupted: what is complete was kept.' if report.interrupted else ''}")
    if not report.words_checked:
        console.print("[bold yellow]Words inside the images were not looked for:[/] look at each copy yourself.")
    console.print("Masking can fail: look at the copies before you give them away.")


def _copy_facts(file: FileReport) -> list[str]:
    words = f"none left in {file.inspected}" if file.residue == "passed" else "not read"
    return [escape(file.file or ""), str(file.frames), f"{file.shown:.0%}", str(file.hidden), words]


def print_sources(found: list[Probed], look: bool) -> None:
    """Print what sources there are; ``look``: with a small picture of each, where the terminal has colours."""
    console = Console(highlight=False)
    if look and console.color_system is None:
        console.print("[yellow]No pictures are shown: this terminal has no colours.[/]")
    for one in found:
        mark = "[green]yes[/]" if one.good else "[red]no [/]"
        console.print(
            f"{mark} [bold]{escape(one.source)}[/]  {escape(_facts(one) if one.good else one.trouble)}", soft_wrap=True
        )
        for mode in one.modes:
            console.print(escape(f"      {mode}"))
        if look and one.thumbnail is not None and console.color_system is not None:
            console.print(_picture(one.thumbnail))


def source_line(found: Probed) -> str:
    """Return one line of JSON, without the picture: it may show a name."""
    return found.model_dump_json(exclude={"thumbnail", "useless"})


def _facts(found: Probed) -> str:
    size = "" if found.size is None else f", {found.size[0]}x{found.size[1]}"
    rate = "" if found.fps is None else f", {found.fps:g} frames/s"
    return f"{found.title}{size}{rate}"


def _picture(small: Thumbnail) -> Text:
    """Return the picture in half blocks: each character shows two pixels, one above the other."""
    text = Text()
    for y in range(0, small.height, 2):
        text.append("      ")
        for x in range(small.width):
            upper, lower = ("#{:02x}{:02x}{:02x}".format(*small.pixel(x, y + part)) for part in (0, 1))
            text.append("▀", style=f"{upper} on {lower}")
        text.append("\n")
    return text


def _latency(latency_ms: dict[str, dict[str, float]]) -> Table:
    table = Table("ms", "p50", "p95", "p99", box=None, padding=(0, 1))
    for stage in (*STAGES, *sorted(set(latency_ms) - set(STAGES))):
        if stage in latency_ms:
            table.add_row(stage, *(f"{value:.1f}" for value in latency_ms[stage].values()))
    return table
