"""``echogfr deidentify``: copies of clips, stills and DICOM files without what tells who the patient is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_app.commands import exits
from engines.errors import UsageError

if TYPE_CHECKING:
    from edge_app.deidentify.plan import Rules

BOX = "X0,Y0,X1,Y1"

Source = Annotated[Path, typer.Argument(metavar="IN", help="A clip, a still, a DICOM file, or a folder of them.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A new folder; for one file also a file's name.")]
NamesOption = Annotated[
    str, typer.Option(help="number: 0001.mp4 and so on; keep: the originals' names, which may name the patient.")
]
DatesOption = Annotated[
    str, typer.Option(help="Of DICOM files. remove; shift: moved back, by as many days for all of one patient.")
]
AreaOption = Annotated[
    str | None, typer.Option(metavar=BOX, help="The image's place, pixels.", show_default="where it is seen")
]
HideOption = Annotated[
    list[str] | None, typer.Option(metavar=BOX, help="A place inside the image that must go; may be repeated.")
]
WithoutOption = Annotated[
    bool, typer.Option("--without-ocr", help="Consent to copies in which words were not looked for.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep the key of the pseudonyms there, so that another run gives the same; made if it is not there.",
        show_default="a new key each run, kept nowhere",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def deidentify(
    source: Source,
    out: Out,
    names: NamesOption = "number",
    dates: DatesOption = "remove",
    area: AreaOption = None,
    hide: HideOption = None,
    without_ocr: WithoutOption = False,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy recordings without what tells who the patient is; the originals stay as they are.

    All but the ultrasound image is overwritten, words in it are looked for and hidden, and what is written is read
    again. docs/privacy.md says what that cannot promise. Exit code 1 if a file was refused.
    """
    import signal

    from edge_app.deidentify.plan import DeidentifyPlan
    from edge_app.deidentify.run import deidentify as run
    from edge_app.progress import file_progress
    from edge_app.summary import print_deidentified

    if names not in ("number", "keep"):
        raise UsageError(f"The names '{names}' cannot be given", "they are number or keep", "write one of them")
    rules = _rules(dates, area, hide or [], without_ocr, key_file)
    plan = DeidentifyPlan(source, out, "keep" if names == "keep" else "number", rules)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is complete stays, the rest goes
    with file_progress() as progress:
        report = run(plan, progress, lambda _, error: typer.echo(error.sentence, err=True))
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        print_deidentified(report)
    if report.interrupted:
        raise typer.Exit(exits.INTERRUPTED)
    if report.count("refused"):
        raise typer.Exit(1)


def _rules(dates: str, area: str | None, hide: list[str], without_ocr: bool, key_file: Path | None) -> Rules:
    from edge_app.deidentify.plan import Rules
    from edge_app.deidentify.pseudonyms import Pseudonyms, kept_in
    from edge_app.imaging.redact import read_words

    if dates not in ("remove", "shift"):
        raise UsageError(f"Dates cannot be treated by '{dates}'", "it is remove or shift", "write one of them")
    return Rules(
        area=None if area is None else parse_box(area),
        hide=tuple(parse_box(text) for text in hide),
        read=None if without_ocr else read_words,
        dates="shift" if dates == "shift" else "remove",
        pseudonyms=Pseudonyms() if key_file is None else kept_in(key_file),
    )


def parse_box(text: str) -> tuple[int, int, int, int]:
    """Read ``x0,y0,x1,y1``; raises ``UsageError``."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or min(numbers) < 0 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise UsageError(f"The place '{text}' cannot be used", "it is no box of four whole numbers", f"write {BOX}")
    return numbers[0], numbers[1], numbers[2], numbers[3]
