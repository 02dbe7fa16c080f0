"""Draws the plots of the report as SVG text, without fonts or links to anywhere."""

from __future__ import annotations

import io
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convert.egfr_heads import EGFR
from convert.evaluation import Evaluation
from convert.trade import Trade
from engines.manifest import IntervalSpec
from engines.values import interval

Vector = NDArray[np.float64]
SIZE = (5.2, 4.2)
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text: small, searchable, no font inside
matplotlib.rcParams["svg.hashsalt"] = "echogfr"  # the same bytes for the same numbers
UNIT = "mL/min/1.73 m²"


def scatter(predicted: Vector, truth: Vector, spec: IntervalSpec) -> str:
    """Draw predicted against true eGFR with the prediction interval."""
    figure, axes = _figure()
    line = np.linspace(max(0.0, predicted.min()), predicted.max(), 200)
    ends = np.array([interval(spec, value, EGFR.lowest) for value in line])
    axes.fill_betweenx(line, ends[:, 0], ends[:, 1], color="#9db8d2", alpha=0.35, linewidth=0)
    axes.plot([0, 130], [0, 130], color="#888", linewidth=0.8)
    axes.plot(truth, predicted, ".", markersize=3, color="#1f4e79")
    axes.set(xlabel=f"true eGFR ({UNIT})", ylabel="predicted eGFR")
    return _svg(figure)


def agreement(predicted: Vector, truth: Vector, evaluation: Evaluation) -> str:
    """Draw Bland and Altman's plot of prediction minus truth."""
    figure, axes = _figure()
    total = evaluation.bands[0]
    axes.plot((predicted + truth) / 2, predicted - truth, ".", markersize=3, color="#1f4e79")
    axes.axhline(total.bias, color="#a33", linewidth=1)
    for limit in (total.low, total.high):
        axes.axhline(limit, color="#a33", linewidth=1, linestyle="--")
    axes.set(xlabel=f"mean of both ({UNIT})", ylabel="prediction − truth")
    return _svg(figure)


def probability(chance: Vector, truth: Vector) -> str:
    """Draw P(eGFR < 60) against true eGFR."""
    figure, axes = _figure()
    axes.plot(truth, chance, ".", markersize=3, color="#1f4e79")
    axes.axvline(60, color="#888", linewidth=0.8)
    axes.axhline(0.5, color="#888", linewidth=0.8)
    axes.set(xlabel=f"true eGFR ({UNIT})", ylabel="P(eGFR < 60)", ylim=(-0.02, 1.02))
    return _svg(figure)


def parity(differences: Mapping[str, Vector]) -> str:
    """Draw, for each artifact, the share of crops within a |difference| from fp32."""
    figure, axes = _figure()
    for name, values in differences.items():
        ordered = np.sort(np.maximum(values, 1e-4))
        axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=name)
    axes.set(xscale="log", xlim=(1e-3, 10), xlabel=f"|Δ eGFR| ({UNIT})", ylabel="share of crops", ylim=(0, 1.02))
    if differences:
        axes.legend(frameon=False)
    return _svg(figure)


def maps(crops: NDArray[np.uint8], cams: NDArray[np.float32]) -> str:
    """Draw crops uint8 (K, H, W, 3), halved to keep the report small, under their maps (K, h, w)."""
    figure = Figure(figsize=(5.2, 2.8))
    largest = float(np.abs(cams).max()) or 1.0
    for index, (crop, cam) in enumerate(zip(crops, cams, strict=True)):
        axes = figure.add_subplot(2, (len(crops) + 1) // 2, index + 1)
        extent = (0.0, 1.0, 0.0, 1.0)
        axes.imshow(crop[::2, ::2], extent=extent)
        axes.imshow(cam, cmap="RdBu_r", vmin=-largest, vmax=largest, alpha=0.4, extent=extent, interpolation="bilinear")
        axes.set_axis_off()
    return _svg(figure)


def trade(found: Trade) -> str:
    """Draw what layers in float cost and bring: error against time, and what each layer alone does."""
    figure = Figure(figsize=(9.2, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    unit = "" if found.unit == "1" else f" ({found.unit})"
    times, errors = [step.time for step in found.steps], [step.error for step in found.steps]
    left.plot(times, errors, "o-", markersize=4, color="#1f4e79", linewidth=0.8)
    for step in found.steps:
        left.annotate(str(step.left), (step.time, step.error), textcoords="offset points", xytext=(4, 4), fontsize=8)
    left.set(xlabel="CPU time / that of full INT8", ylabel=f"95 % of |Δ {found.head}|{unit}", ylim=(0, None))
    left.set_title(f"one member, by number of units in {found.kept}", fontsize=9)
    colours = ["#a33" if item.name in found.left else "#9db8d2" for item in found.units]
    places = range(len(found.units))
    right.barh(places, [item.error for item in found.units], color=colours)
    right.set_yticks(places, [item.name for item in found.units], fontsize=max(4.0, min(8.0, 220 / len(found.units))))
    right.invert_yaxis()
    right.set(xlabel=f"the same{unit}, this unit alone in INT8")
    right.set_title(f"red: left in {found.kept}", fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
