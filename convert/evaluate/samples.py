"""From readings and a cohort to the sample that is measured: of an eGFR, or of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from convert.evaluate.cohort import Cohort
from convert.evaluate.question import ClassHead, class_names, question_of
from convert.evaluate.sample import ClassSample, Sample
from engines.manifest import BundleManifest, ProbabilityHead
from engines.reading import Reading
from engines.values import Chance, Graded, Regressed


def sample_of(manifest: BundleManifest, cohort: Cohort, found: Sequence[Reading]) -> Sample | ClassSample:
    """Return truth and readings as arrays, by what the main head of the bundle gives.

    Raises
    ------
    UsageError
        It gives nothing that can be evaluated: ``question_of``.
    """
    head = question_of(manifest)
    refused = np.array([not reading.in_domain for reading in found])
    if isinstance(head, ClassHead):
        return _classes(head, cohort, found, refused)
    return _egfr(manifest, cohort, found, refused)


def _egfr(manifest: BundleManifest, cohort: Cohort, found: Sequence[Reading], refused: NDArray[np.bool_]) -> Sample:
    values = [reading.egfr for reading in found if reading.egfr is not None]
    chances = [reading.egfr_below_60.p for reading in found if reading.egfr_below_60 is not None]
    low, high = (np.array(list(_ends(values, at))) for at in (0, 1))
    below = manifest.egfr_below_60
    return Sample(
        patients=cohort.patients,
        refused=refused,
        truth=cohort.truth,
        egfr=np.array([value.value for value in values]),
        low=low if len(low) else None,
        high=high if len(high) else None,
        probability=np.array(chances) if chances else None,
        agree=np.array([reading.heads_agree for reading in found]),
        p_cut=0.5 if below is None else below.cut,
    )


def _ends(values: Sequence[Regressed], at: int) -> Iterator[float]:
    for value in values:
        end = (value.low, value.high)[at]
        if end is not None:
            yield end


def _classes(head: ClassHead, cohort: Cohort, found: Sequence[Reading], refused: NDArray[np.bool_]) -> ClassSample:
    p = np.array([_probabilities(reading) for reading in found])
    called = (p[:, 1] >= head.cut).astype(np.intp) if isinstance(head, ProbabilityHead) else p.argmax(axis=1)
    return ClassSample(
        patients=cohort.patients,
        refused=refused,
        truth=cohort.truth.astype(np.intp),
        p=p,
        called=called,
        names=class_names(head),
    )


def _probabilities(reading: Reading) -> tuple[float, ...]:
    main = reading.main
    if isinstance(main, Graded):
        return main.p
    if isinstance(main, Chance):
        return 1 - main.p, main.p
    raise TypeError("the main value is a number")
