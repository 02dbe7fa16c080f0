"""``echogfr-convert evaluate``: a bundle on a hospital's own labelled crops."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convert.evaluate.plan import Contender, EvaluationPlan
from convert.extras import convert_libraries
from convert.terminal import bars, boundary, out

if TYPE_CHECKING:
    from convert.evaluate.document import Evaluation, Measure


SHOWN = frozenset(("r", "mae", "bias", "loa_low", "loa_high", "p30", "coverage", "refused", "class_exact"))


class Means(str, Enum):  # an enumeration: older typer knows no literals
    """What a reader column holds."""

    score = "score"
    egfr = "egfr"


Bundle = Annotated[Path, typer.Argument(help="A bundle: the folder that holds manifest.json.")]
Data = Annotated[
    Path, typer.Option("--data", help="CSV: crop, patient, egfr or the answer's name; maybe sex, age, side, scanner.")
]
ReaderColumn = Annotated[str | None, typer.Option(help="Column of readers to compare with, paired.")]
ReaderMeans = Annotated[Means, typer.Option(help="score: higher is more likely below; egfr: estimates.")]
Against = Annotated[Path | None, typer.Option(help="Another bundle to compare with, paired.")]
Cut = Annotated[float, typer.Option(help="eGFR cut, fixed beforehand, mL/min/1.73 m2.")]
Precision = Annotated[str, typer.Option(help="fp32, fp16 or int8.")]
Split = Annotated[str | None, typer.Option(help="Only rows whose column split says so.")]
Target = Annotated[Path | None, typer.Option("--out", help="Folder of the results; default: beside the CSV.")]
Resamples = Annotated[int, typer.Option(help="Resamples of patients for the intervals.")]
Seed = Annotated[int, typer.Option(help="Same seed, same intervals.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an evaluation that exists.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)


def evaluate(
    bundle: Bundle,
    data: Data,
    reader_column: ReaderColumn = None,
    reader_means: ReaderMeans = Means.score,
    against: Against = None,
    cut: Cut = 60.0,
    precision: Precision = "fp32",
    split: Split = None,
    target: Target = None,
    resamples: Resamples = 1000,
    seed: Seed = 2019,
    force: Force = False,
) -> None:
    """Evaluate a bundle on labelled crops: one page, tables and JSON; research use."""
    where = (target or data.parent / f"{data.stem}-evaluation").absolute()
    with (
        boundary(f"Cancelled: nothing was written, {where} is as it was."),
        convert_libraries("The bundle cannot be evaluated"),
    ):
        from convert.evaluate.run import PAGE, run

        plan = EvaluationPlan(
            bundle=bundle,
            data=data,
            out=where,
            cut=cut,
            precision=precision,
            split=split,
            contender=Contender(reader_column, reader_means.value, against),
            resamples=resamples,
            seed=seed,
            force=force,
        )
        with bars() as progress:
            document = run(plan, progress)
        for line in summary(document):
            out.print(line, soft_wrap=True, markup=False, highlight=False)
        out.print(f"Written: {where / PAGE}", soft_wrap=True, markup=False, highlight=False)


def summary(document: Evaluation) -> list[str]:
    """Return the main numbers with their frame, for the terminal."""
    counts, about = document.counts, document.about
    mark = "SYNTHETIC: " if document.synthetic else ""
    found = (*document.agreement, *(document.category_agreement if document.kind == "classes" else ()))
    shown = [measure for measure in (*found, *document.safety) if measure.key in SHOWN]
    side = "" if counts.images_positive is None else f", {counts.images_positive} images {document.words.short}"
    lines = [
        f"{mark}{about.bundle} ({about.precision}) on {about.data}: {counts.images} images of {counts.patients} "
        f"patients{side}; research use"
    ]
    lines += [f"  {_line(measure)}" for measure in shown]
    lines += [f"  AUC of {c.name}: {_interval(c.area.value, c.area.low, c.area.high, 3)}" for c in document.curves]
    return [*lines, *(f"  Note: {text}" for text in document.remarks)]


def _line(measure: Measure) -> str:
    found, scale = measure.estimate, 100.0 if measure.unit == "%" else 1.0
    value, low, high = (None if x is None else scale * x for x in (found.value, found.low, found.high))
    return f"{measure.name}: {_interval(value, low, high, 1 if measure.unit else 3)} {measure.unit}".rstrip()


def _interval(value: float | None, low: float | None, high: float | None, digits: int) -> str:
    if value is None:
        return "undefined"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} (95 % {low:.{digits}f} to {high:.{digits}f})"
