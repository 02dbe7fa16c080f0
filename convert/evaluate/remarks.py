"""Remarks: what a reader must know before the numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convert.boundaries import CKD_LIMIT as P_LIMIT
from convert.evaluate.agreement import correlation
from convert.evaluate.discrimination import auc
from convert.evaluate.material import Material
from convert.evaluate.party import reader_score
from convert.evaluate.sample import ClassSample, Sample, Vector

FEW = 10  # images


def remarks(material: Material) -> Iterator[str]:
    """Yield a sentence for everything that makes the numbers mean less than they seem to."""
    readings, sample = material.readings, material.readings.sample
    if readings.first.synthetic and not material.cohort.synthetic:
        yield "A SYNTHETIC model read pictures that do not call themselves synthetic: nothing here is a result."
    if readings.resized:
        shape = f", {readings.not_square} of them not square" if readings.not_square else ""
        yield f"{readings.resized} crops had another size than the model reads{shape} and were resized as the app does."
    yield from _of_egfr(material, sample) if isinstance(sample, Sample) else _of_classes(sample)
    if sample.repeats:
        yield (
            f"{sample.patient_count} patients have {len(sample)} images: intervals come from drawing patients; "
            "limits of agreement hold for single images and do not separate spread within and between patients."
        )
    if float(sample.refused.mean()) > 0.2:
        yield (
            f"The domain check refuses {100 * sample.refused.mean():.0f} % of the images: the app would show no "
            "number for them, and the tables over all images are not what a user would see."
        )
    if _turned_round(material):
        yield "The reader column orders images against the reference (AUC below 0.5): is it turned round?"


def _of_egfr(material: Material, sample: Sample) -> Iterator[str]:
    cut = material.plan.cut
    below = int((sample.truth < cut).sum())
    if min(below, len(sample) - below) < FEW:
        yield f"One side of the cut has fewer than {FEW} images: nothing about the cut {cut:g} can be judged."
    if sample.probability is not None and cut != P_LIMIT:
        yield f"P is trained for {P_LIMIT:g}, not for the cut {cut:g}; its calibration is measured at {P_LIMIT:g}."
    if sample.probability is not None and wrong_way_round(sample.probability, sample.truth):
        yield "P rises with the reference eGFR: it is the probability of the other side, or the labels are wrong."


def _of_classes(sample: ClassSample) -> Iterator[str]:
    counts = np.bincount(sample.truth, minlength=len(sample.names)).tolist()
    rare = [name for name, count in zip(sample.names, counts, strict=True) if count < FEW]
    if rare:
        yield f"Fewer than {FEW} images have the reference {' or '.join(rare)}: nothing about it can be judged."


def wrong_way_round(probability: Vector, truth: Vector) -> bool:
    """Tell whether P goes up with the eGFR, which P(eGFR < 60) must not (clinic-and-paper 1.6)."""
    return correlation(probability, truth) > 0


def _turned_round(material: Material) -> bool:
    contender, cohort = material.plan.contender, material.cohort
    if cohort.reader is None or contender.reader_column is None:
        return False
    score = reader_score(contender.reader_column, cohort.reader, contender.reader_means)
    sample = material.readings.sample
    positive = sample.truth < material.plan.cut if isinstance(sample, Sample) else sample.truth == 1
    return auc(score.values[score.given], positive[score.given]) < 0.5
