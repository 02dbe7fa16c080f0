"""Remarks: what a reader must know before the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from convert.boundaries import CKD_LIMIT as P_LIMIT
from convert.evaluate.agreement import correlation
from convert.evaluate.contest import reader_score
from convert.evaluate.discrimination import auc
from convert.evaluate.material import Material, counts
from convert.evaluate.sample import Vector


def remarks(material: Material) -> Iterator[str]:
    """Yield a sentence for everything that makes the numbers mean less than they seem to."""
    plan, readings = material.plan, material.readings
    sample, found = readings.sample, counts(readings.sample, plan.cut)
    if readings.first.synthetic and not material.cohort.synthetic:
        yield "A SYNTHETIC model read pictures that do not call themselves synthetic: nothing here is a result."
    if readings.resized:
        shape = f", {readings.not_square} of them not square" if readings.not_square else ""
        yield f"{readings.resized} crops had another size than the model reads{shape} and were resized as the app does."
    if min(found.images_below, found.images - found.images_below) < 10:
        yield f"One side of the cut has fewer than 10 images: nothing about the cut {plan.cut:g} can be judged."
    if plan.cut != P_LIMIT:
        yield f"P is trained for {P_LIMIT:g}, not for the cut {plan.cut:g}; its calibration is measured at {P_LIMIT:g}."
    if sample.repeats:
        yield (
            f"{found.patients} patients have {found.images} images: intervals come from drawing patients; the "
            "limits of agreement hold for single images and do not separate spread within and between patients."
        )
    if float(sample.refused.mean()) > 0.2:
        yield (
            f"The domain check refuses {100 * sample.refused.mean():.0f} % of the images: the app would show no "
            "number for them, and the tables over all images are not what a user would see."
        )
    if wrong_way_round(sample.probability, sample.truth):
        yield "P rises with the reference eGFR: it is the probability of the other side, or the labels are wrong."
    if _turned_round(material):
        yield "The reader column orders images against the reference (AUC below 0.5): is it turned round?"


def wrong_way_round(probability: Vector, truth: Vector) -> bool:
    """Tell whether P goes up with the eGFR, which P(eGFR < 60) must not (clinic-and-paper 1.6)."""
    return correlation(probability, truth) > 0


def _turned_round(material: Material) -> bool:
    contender, cohort = material.plan.contender, material.cohort
    if cohort.reader is None or contender.reader_column is None:
        return False
    score = reader_score(contender.reader_column, cohort.reader, contender.reader_means)
    return auc(score.values[score.given], (cohort.egfr < material.plan.cut)[score.given]) < 0.5
