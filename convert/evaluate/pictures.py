"""Draws the plots of the evaluation as SVG text, without fonts or links to anywhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convert.evaluate.agreement import limit_error, proportional_bias
from convert.evaluate.catalogue import UNIT
from convert.evaluate.document import Decision, Evaluation, StratumRow
from convert.evaluate.sample import Rows, Sample, Vector
from convert.statistics import KDIGO_EDGES, Z95, agreement

SIZE = (5.2, 4.4)
COLOURS = ("#1f4e79", "#b45f06", "#3d7a3d", "#7b3f8c")  # told apart by line style as well
STYLES = ("-", "--", "-.", ":")
RED, GREY = "#a33", "#888"
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text: small, searchable, no font inside
matplotlib.rcParams["svg.hashsalt"] = "echogfr"  # the same bytes for the same numbers


@dataclass(frozen=True, slots=True)
class Canvas:
    """Makes figures that say SYNTHETIC inside the picture, so that a copied plot says it too."""

    synthetic: bool

    def new(self, size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
        """Return an empty figure with one pair of axes."""
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        return figure, axes

    def svg(self, figure: Figure) -> str:
        """Return the figure as the text of one svg element."""
        if self.synthetic:
            figure.suptitle("SYNTHETIC", x=0.99, ha="right", fontsize=9, color=RED, fontweight="bold")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
        text = stream.getvalue()
        return text[text.index("<svg") :]


def draw_all(document: Evaluation, sample: Rows) -> dict[str, str]:
    """Return every plot of the page by its name; what the document has not is not drawn."""
    canvas = Canvas(document.synthetic)
    found = {"roc": roc(canvas, document)}
    if isinstance(sample, Sample):
        found |= {"scatter": scatter(canvas, sample), "bland_altman": bland_altman(canvas, sample)}
        found["subgroups"] = forest(canvas, document.strata, "bias", 0.0)
    else:
        found["subgroups"] = forest(canvas, document.strata, "class_exact", None)
    if document.reliability:
        found["reliability"] = reliability(canvas, document)
    if document.interval_level is not None:
        found["coverage"] = forest(canvas, document.intervals, "coverage", document.interval_level)
    return found


def scatter(canvas: Canvas, sample: Sample) -> str:
    """Draw predicted against reference eGFR, with identity and the category boundaries."""
    figure, axes = canvas.new()
    end = float(max(sample.truth.max(), sample.egfr.max(), 60.0)) * 1.04
    _boundaries(axes)
    axes.plot([0, end], [0, end], color=GREY, linewidth=1)
    _dots(axes, sample.truth, sample.egfr)
    axes.set(xlabel=f"reference eGFR ({UNIT})", ylabel=f"predicted eGFR ({UNIT})", xlim=(0, end), ylim=(0, end))
    axes.set_aspect("equal")
    return canvas.svg(figure)


def bland_altman(canvas: Canvas, sample: Sample) -> str:
    """Draw the differences on the means, with bias, limits (closed-form 95 % bands) and the regression line."""
    figure, axes = canvas.new()
    total = agreement("all", sample.egfr, sample.truth)
    mean, difference = (sample.egfr + sample.truth) / 2, sample.egfr - sample.truth
    half = Z95 * limit_error(total.sd, len(sample)) if len(sample) > 1 else 0.0
    for limit in (total.low, total.high):
        if not sample.repeats:  # the closed form holds for independent images only
            axes.axhspan(limit - half, limit + half, color="#d9a7a7", alpha=0.4, linewidth=0)
        axes.axhline(limit, color=RED, linewidth=1, linestyle="--")
    axes.axhline(total.bias, color=RED, linewidth=1.2)
    axes.axhline(0, color=GREY, linewidth=0.8)
    _dots(axes, mean, difference)
    fitted = proportional_bias(sample.egfr, sample.truth)
    ends = np.array([mean.min(), mean.max()])
    axes.plot(ends, fitted.intercept + fitted.slope * ends, color=COLOURS[1], linewidth=1.4, linestyle="-.")
    for value, name in ((total.high, "+1.96 SD"), (total.bias, "bias"), (total.low, "−1.96 SD")):
        axes.annotate(
            f"{name} {value:+.1f}",
            (1, value),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            color=RED,
            ha="right",
            va="bottom",
        )
    axes.set(xlabel=f"mean of predicted and reference ({UNIT})", ylabel=f"predicted − reference ({UNIT})")
    return canvas.svg(figure)


def roc(canvas: Canvas, document: Evaluation) -> str:
    """Draw the ROC curves, and as points the rules at their cuts."""
    figure, axes = canvas.new()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for index, curve in enumerate(document.curves):
        if curve.area.value is None:
            continue
        x, y = np.array(curve.points).T
        label = f"{curve.name}: {curve.area.value:.3f}"
        axes.plot(x, y, color=COLOURS[index % 4], linestyle=STYLES[index % 4], linewidth=1.6, label=label)
    for marker, decision in zip("osD^", document.decisions, strict=False):
        false, hit = _operating_point(decision)
        axes.plot([false], [hit], marker, color="black", markersize=5, markerfacecolor="white", label=decision.rule)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_aspect("equal")
    return canvas.svg(figure)


def reliability(canvas: Canvas, document: Evaluation) -> str:
    """Draw the share seen against the share said in each bin of P with Wilson's intervals; below, the images."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for row in document.reliability:
        seen = row.observed
        axes.plot([row.mean_p] * 2, [seen.low or 0.0, seen.high or 0.0], color=COLOURS[0], linewidth=1.2)
        axes.plot([row.mean_p], [seen.value or 0.0], "o", color=COLOURS[0], markersize=4.5)
        middle = (row.low + row.high) / 2
        counts.bar(middle, row.images, width=0.085, color="#c9d3de", linewidth=0)
        counts.annotate(str(row.images), (middle, row.images), fontsize=7, ha="center", va="bottom")
    for part in (axes, counts):
        part.spines[["top", "right"]].set_visible(False)
    axes.set(ylabel=f"share with {document.words.event}", ylim=(-0.02, 1.02))
    counts.set(xlabel=f"{document.words.probability} said", ylabel="images", xlim=(-0.02, 1.02))
    counts.margins(y=0.35)
    return canvas.svg(figure)


def forest(canvas: Canvas, rows: Sequence[StratumRow], key: str, reference: float | None) -> str:
    """Draw one measure of every subgroup with its interval, and a line at the reference if there is one."""
    shown = [(row, measure) for row in rows for measure in row.measures if measure.key == key]
    figure, axes = canvas.new((5.2, 1.1 + 0.27 * max(1, len(shown))))
    if reference is not None:
        axes.axvline(reference, color=GREY, linewidth=0.8)
    name = shown[0][1].name if shown else key
    scale = 100.0 if shown and shown[0][1].unit == "%" else 1.0
    for place, (_, measure) in enumerate(shown):
        found = measure.estimate
        if found.value is None:
            continue
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [place, place], color=COLOURS[0], linewidth=1.4)
        axes.plot([found.value], [place], "s", color=COLOURS[0], markersize=4.5)
    axes.set_yticks(range(len(shown)), [_label(row) for row, _ in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    if scale == 100.0:
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
    unit = shown[0][1].unit if shown else ""
    axes.set_xlabel(f"{name} ({unit})" if unit else name)
    return canvas.svg(figure)


def _label(row: StratumRow) -> str:
    name = row.level if row.factor == "all" else f"{row.factor}: {row.level}"
    return f"{name} (n {row.images})"


def _operating_point(decision: Decision) -> tuple[float, float]:
    positive = decision.true_positive + decision.false_negative
    other = decision.false_positive + decision.true_negative
    return decision.false_positive / max(1, other), decision.true_positive / max(1, positive)


def _boundaries(axes: Axes) -> None:
    for edge in KDIGO_EDGES:
        axes.axvline(edge, color="#ddd", linewidth=0.6, zorder=0)
        axes.axhline(edge, color="#ddd", linewidth=0.6, zorder=0)


def _dots(axes: Axes, x: Vector, y: Vector) -> None:
    many = len(x) > 600
    size, alpha = (3.5, 0.5) if many else (6.0, 0.7)
    axes.plot(x, y, ".", markersize=size, alpha=alpha, color=COLOURS[0], markeredgewidth=0, rasterized=many)
