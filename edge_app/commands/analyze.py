"""``echogfr analyze``: a recording read without a window."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_app.commands import exits
from edge_app.commands.options import (
    SOURCES,
    BundleOption,
    CaOption,
    DomainOption,
    FallbackOption,
    LocalizerOption,
    PrecisionOption,
    RuntimeOption,
    UrlOption,
    model_plan,
)
from engines.errors import UsageError

if TYPE_CHECKING:
    from edge_app.analyze import AnalyzePlan, Summary
    from edge_app.live.messages import Poles

Source = Annotated[str, typer.Argument(help=SOURCES)]
PolesOption = Annotated[
    str | None,
    typer.Option(metavar="X1,Y1,X2,Y2", help="The ends of the kidney, pixels, in place of the scanner's markers."),
]
LengthOption = Annotated[
    float | None,
    typer.Option(metavar="CM", min=1, max=30, help="The kidney length that the scanner shows, to check the scale."),
]
LinesOption = Annotated[
    Path | None,
    typer.Option(help="Write one JSON object a frame and a summary; - is standard output."),
]
SnapshotOption = Annotated[
    Path | None,
    typer.Option(help="Write the last frame read as PNG, identity masked."),
]
WithoutOption = Annotated[
    bool, typer.Option("--without-ocr", help="Consent to a snapshot in which words were not looked for.")
]
FramesOption = Annotated[
    int | None,
    typer.Option(min=1, help="End after so many frames.", show_default="all; 300 of an endless source"),
]
SecondsOption = Annotated[float | None, typer.Option(min=0, help="End after so much of the recording.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")]


def analyze(
    source: Source,
    bundle: BundleOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    fallback: FallbackOption = None,
    allow_out_of_domain: DomainOption = None,
    localizer: LocalizerOption = None,
    poles: PolesOption = None,
    length: LengthOption = None,
    jsonl: LinesOption = None,
    snapshot: SnapshotOption = None,
    without_ocr: WithoutOption = False,
    max_frames: FramesOption = None,
    seconds: SecondsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse a recording without a window; refused frames are a result, not an error."""
    from edge_app.analyze import AnalyzePlan
    from edge_app.settings import load_settings

    settings = load_settings(
        bundle=bundle,
        runtime=runtime,
        precision=precision,
        triton_url=triton_url,
        triton_ca=triton_ca,
        fallback=fallback,
        allow_out_of_domain=allow_out_of_domain,
        localizer=localizer,
    )
    plan = AnalyzePlan(
        source=source,
        model=model_plan(settings),
        poles=None if poles is None else parse_poles(poles),
        jsonl=jsonl,
        snapshot=snapshot,
        without_ocr=without_ocr,
        max_frames=max_frames,
        seconds=seconds,
        allow_out_of_domain=settings.allow_out_of_domain,
        quality=settings.quality,
        length_cm=length,
        localizer=settings.localizer,
    )
    _read(plan, as_json)


def _read(plan: AnalyzePlan, as_json: bool) -> None:
    from edge_app.analyze import analyze
    from edge_app.progress import frame_progress

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was analysed so far is kept
    with frame_progress() as progress:
        summary = analyze(plan, progress)
    if str(plan.jsonl) != "-":  # else it stands there already
        _tell(summary, as_json)
    if summary.broke_off is not None:
        print(summary.broke_off, file=sys.stderr)
        raise typer.Exit(exits.USAGE)
    if summary.interrupted:
        raise typer.Exit(exits.INTERRUPTED)


def _tell(summary: Summary, as_json: bool) -> None:
    from edge_app.live.reports import line
    from edge_app.summary import print_summary

    if as_json:
        typer.echo(line(summary))
    else:
        print_summary(summary)


def parse_poles(text: str) -> Poles:
    """Read ``x1,y1,x2,y2``; raises ``UsageError``."""
    from math import isfinite

    from edge_app.live.messages import Poles

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(isfinite(number) for number in numbers):
        raise UsageError(f"The poles '{text}' cannot be used", "they are not four numbers", "write x1,y1,x2,y2")
    return Poles(x1=numbers[0], y1=numbers[1], x2=numbers[2], y2=numbers[3])
