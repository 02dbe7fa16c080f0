"""The command line: arguments to plans, nothing else. Every heavy library is imported by the command that needs it."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_app.commands import bundles, trust
from edge_app.commands.deidentify import deidentify
from engines.errors import EchoGFRError, UsageError

if TYPE_CHECKING:
    from edge_app.analyze import Summary
    from edge_app.live.messages import Poles
    from edge_app.live.model import ModelPlan
    from edge_app.settings import Settings

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="echogfr",
    help="Live, image-derived eGFR estimate from a scanner's video output. Offline; research use only.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(bundles.app, name="bundle")
app.add_typer(trust.app, name="trust")
app.command()(deidentify)

SOURCES = (
    "phantom:, v4l2:DEVICE, rtsp://HOST/..., udp://, tcp://, http://, screen:, igtl:HOST, gst:PIPELINE, file:PATH, "
    "dicom:PATH, folder:PATH or a path; docs/sources.md tells of each"
)
SourceOption = Annotated[
    str | None,
    typer.Option(help=SOURCES, show_default="phantom:"),
]
BundleOption = Annotated[
    Path | None,
    typer.Option(help="Directory of the model's bundle, or id of an imported one.", show_default="see bundle use"),
]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        help="What runs the model: onnxruntime, tensorrt, tensorrt-rtx or triton.",
        show_default="the best of this machine",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--triton-url", help="HOST:PORT of an inference server; grpcs://HOST:PORT for TLS.", show_default="none"
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option("--triton-ca", help="PEM file of the authority that the server's certificate is from; means TLS."),
]
FallbackOption = Annotated[
    str | None,
    typer.Option(help="onnxruntime: what reads on this machine while the server is away.", show_default="nothing"),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="fp32, fp16 or int8.", show_default="the best of the bundle"),
]
DomainOption = Annotated[
    bool | None,
    typer.Option(
        "--allow-out-of-domain", help="Show, marked, numbers of pictures unlike those the model was made for."
    ),
]
SelfTestOption = Annotated[
    bool,
    typer.Option("--self-test", help="Run the golden vectors on every runtime and precision here, and time them."),
]
RotateOption = Annotated[
    str | None,
    typer.Option(
        help="Members take turns while the picture is live: auto (where all at once are slow), on or off.",
        show_default="auto",
    ),
]
VersionOption = Annotated[bool, typer.Option("--version", help="Say what is installed and what would run, and end.")]


@app.callback(invoke_without_command=True)
def start(context: typer.Context, version: VersionOption = False) -> None:
    """Without a command: run the bedside app."""
    if version:
        show_version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        run()


@app.command()
def run(
    source: SourceOption = None,
    bundle: BundleOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    fallback: FallbackOption = None,
    allow_out_of_domain: DomainOption = None,
    rotate: RotateOption = None,
    fullscreen: Annotated[bool | None, typer.Option("--fullscreen", help="Fill the screen.")] = None,
    offscreen_seconds: Annotated[
        float | None,
        typer.Option(help="Run so long without a display, then save a picture of the window."),
    ] = None,
    screenshot: Annotated[
        Path | None,
        typer.Option(help="Where that picture goes."),
    ] = None,
) -> None:
    """Open the bedside window: the scanner's picture and the readout."""
    from edge_app.settings import load_settings

    settings = load_settings(
        source=source,
        bundle=bundle,
        runtime=runtime,
        precision=precision,
        triton_url=triton_url,
        triton_ca=triton_ca,
        fallback=fallback,
        allow_out_of_domain=allow_out_of_domain,
        rotate=rotate,
        fullscreen=fullscreen,
        offscreen_seconds=offscreen_seconds,
    )
    raise typer.Exit(_open_window(settings, screenshot))


def _open_window(settings: Settings, screenshot: Path | None) -> int:
    from edge_app import app as window

    options = window.RunOptions(
        source=settings.source,
        bundle=settings.bundle,
        signatures=settings.signatures,
        runtime=settings.runtime,
        precision=settings.precision,
        server=settings.server,
        fallback=settings.fallback,
        allow_out_of_domain=settings.allow_out_of_domain,
        rotate=settings.rotate,
        quality=settings.quality,
        fullscreen=settings.fullscreen,
        offscreen_seconds=settings.offscreen_seconds,
        screenshot=screenshot,
    )
    return window.run(options)


@app.command()
def analyze(
    source: Annotated[str, typer.Argument(help=SOURCES)],
    bundle: BundleOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    fallback: FallbackOption = None,
    allow_out_of_domain: DomainOption = None,
    poles: Annotated[
        str | None,
        typer.Option(metavar="X1,Y1,X2,Y2", help="The ends of the kidney, pixels, in place of the scanner's markers."),
    ] = None,
    length: Annotated[
        float | None,
        typer.Option(metavar="CM", min=1, max=30, help="The kidney length that the scanner shows, to check the scale."),
    ] = None,
    jsonl: Annotated[
        Path | None,
        typer.Option(help="Write one JSON object a frame and a summary; - is standard output."),
    ] = None,
    snapshot: Annotated[
        Path | None,
        typer.Option(help="Write the last frame read as PNG, identity masked."),
    ] = None,
    without_ocr: Annotated[
        bool, typer.Option("--without-ocr", help="Consent to a snapshot in which words were not looked for.")
    ] = False,
    max_frames: Annotated[
        int | None,
        typer.Option(min=1, help="End after so many frames.", show_default="all; 300 of an endless source"),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so much of the recording.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Analyse a recording without a window; refused frames are a result, not an error."""
    from edge_app.analyze import AnalyzePlan, analyze
    from edge_app.progress import frame_progress
    from edge_app.settings import load_settings

    settings = load_settings(
        bundle=bundle,
        runtime=runtime,
        precision=precision,
        triton_url=triton_url,
        triton_ca=triton_ca,
        fallback=fallback,
        allow_out_of_domain=allow_out_of_domain,
    )
    plan = AnalyzePlan(
        source=source,
        model=_model_plan(settings),
        poles=None if poles is None else parse_poles(poles),
        jsonl=jsonl,
        snapshot=snapshot,
        without_ocr=without_ocr,
        max_frames=max_frames,
        seconds=seconds,
        allow_out_of_domain=settings.allow_out_of_domain,
        quality=settings.quality,
        length_cm=length,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was analysed so far is kept
    with frame_progress() as progress:
        summary = analyze(plan, progress)
    if str(jsonl) != "-":  # else it stands there already
        _tell(summary, as_json)
    if summary.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _model_plan(settings: Settings) -> ModelPlan:
    """Return the model of the settings for one that reads every frame with all members."""
    from edge_app.live.model import ModelPlan

    return ModelPlan(
        bundle=settings.bundle,
        runtime=settings.runtime,
        precision=settings.precision,
        server=settings.server,
        fallback=settings.fallback,
        signatures=settings.signatures,
    )


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


@app.command()
def sources(
    others: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Further sources to look at.", show_default=False)
    ] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Show a small picture of each on the terminal; nothing is written.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a source, without pictures.")] = False,
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="For each source to give its first picture.")] = 8.0,
) -> None:
    """List what can be read here: grabbers, screens, the sources of the settings and those named, the phantom."""
    from edge_app.capture.probing import connected, probe_all
    from edge_app.progress import counted_progress
    from edge_app.settings import load_settings
    from edge_app.summary import print_sources, source_line

    settings = load_settings()
    with counted_progress("sources") as advance:
        here = connected(seconds)
        names = dict.fromkeys([*here, settings.source, *settings.sources, *(others or ()), "phantom:"])
        found = [one for one in probe_all(list(names), seconds, advance) if not one.useless]
    if as_json:
        for one in found:
            typer.echo(source_line(one))
    else:
        print_sources(found, look)


@app.command()
def phantom(
    patients: Annotated[int, typer.Option(min=1, help="How many synthetic patients.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; must not exist yet.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same data set.")] = 1,
    frames: Annotated[int, typer.Option(min=0, max=2, help="Whole screens to keep of each patient.")] = 0,
) -> None:
    """Write a data set of synthetic patients with known truth."""
    from edge_app.atomic import explained
    from edge_app.capture.phantom import DatasetPlan, write_dataset
    from edge_app.progress import dataset_progress

    with explained(out), dataset_progress() as progress:
        done = write_dataset(DatasetPlan(patients=patients, out=out, seed=seed, frames=frames), progress)
    typer.echo(f"{done.patients} patients, {done.frames} frames and {done.crops} crops in {done.out}")


@app.command("version")
def show_version(triton_url: UrlOption = None, triton_ca: CaOption = None) -> None:
    """Say what is installed, and what would run the model and why."""
    from edge_app.doctor import version_report
    from edge_app.settings import load_settings

    for line in version_report(load_settings(triton_url=triton_url, triton_ca=triton_ca).server):
        typer.echo(line)


@app.command()
def doctor(
    self_test: SelfTestOption = False,
    bundle: BundleOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    out: Annotated[Path | None, typer.Option(help="With --self-test: write the report there, as JSON.")] = None,
) -> None:
    """Check this machine: runtimes, bundle, display, DICOM, shared memory; and the server, where one is named.

    Exit code 1 if something needed fails.
    """
    if self_test:
        return _self_test(bundle, out)
    if out:
        raise UsageError("--out cannot be used", "it goes with the self-test", "add --self-test")
    from edge_app.doctor import examine
    from edge_app.settings import load_settings
    from edge_app.summary import print_findings

    settings = load_settings(bundle=bundle, precision=precision, triton_url=triton_url, triton_ca=triton_ca)
    findings = examine(replace(_model_plan(settings), fallback=None))  # a server that is away must not look well
    print_findings(findings)
    if any(finding.needed and not finding.good for finding in findings):
        raise typer.Exit(1)


def _self_test(bundle: Path | None, out: Path | None) -> None:
    from edge_app.atomic import check_writable
    from edge_app.bundles import bundle_path
    from edge_app.progress import counted_progress
    from edge_app.self_test import examine_runtimes, write_report
    from edge_app.summary import print_self_test
    from engines.bundle import open_bundle

    if out is not None:
        check_writable(out)
    opened = open_bundle(bundle_path(bundle))
    with counted_progress("runtimes") as advance:
        report = examine_runtimes(opened, advance)
    print_self_test(report)
    if out is not None:
        write_report(report, out)
        typer.echo(f"Written: {out}. It names no person, no computer and no folder: you may send it.")
    if not report.passed:
        raise typer.Exit(1)


# What typer raises for a command line that it cannot read; it shows the class only through its children.
Misuse: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; a mistake of the user's is one sentence and exit code 2."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it is said here
    except Misuse as error:
        code = _refuse(_misuse(error.ctx.command_path if error.ctx else "echogfr", error.format_message()))
    except EchoGFRError as error:
        code = _refuse(error)
    except ModuleNotFoundError as error:
        code = _refuse(_missing(error))
    except OSError as error:  # a device, a folder or the output itself that the system refuses
        code = _refuse(UsageError("EchoGFR cannot go on", str(error), "check the disk and the permissions"))
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    sys.exit(code)


def _refuse(error: EchoGFRError) -> int:
    print(error.sentence, file=sys.stderr)
    return EXIT_USAGE


def _misuse(command: str, said: str) -> UsageError:
    """Say in one sentence what typer says in a box."""
    because = " ".join(said.split()).rstrip(".")
    return UsageError(f"'{command}' cannot be run so", because[:1].lower() + because[1:], f"see {command} --help")


def _missing(error: ModuleNotFoundError) -> UsageError:
    """Say which library is missing; a part of our own that is missing is no mistake of the user's."""
    if error.name is None or error.name.split(".")[0] in {"edge_app", "engines"}:
        raise error
    return UsageError("EchoGFR cannot do this", f"{error.name} is not installed", "pip install echogfr")
