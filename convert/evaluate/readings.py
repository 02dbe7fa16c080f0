"""Runs a bundle over the crops of a cohort, through the same reader as the app."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.crops.pictures import read_picture
from convert.evaluate.cohort import Cohort
from convert.evaluate.sample import ClassSample, Sample
from convert.evaluate.samples import sample_of
from convert.progress import Progress
from engines.bundle import Bundle
from engines.errors import UsageError
from engines.manifest import InputSpec
from engines.preprocess import CropBox, extract
from engines.reading import Reader, Reading
from engines.runtimes import select
from engines.selftest import run as self_test

BATCH = 16
RUNTIME = "onnxruntime"


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a bundle said of every crop, and what said it."""

    bundle: Bundle
    sample: Sample | ClassSample
    distance: NDArray[np.float64]  # domain distance, 1.0 is the limit of a shipped bundle
    first: Reading  # names runtime, precision and artifact of all
    resized: int  # crops that had not the size of the model's input
    not_square: int

    @property
    def of_egfr(self) -> Sample:
        """The sample of a bundle whose main head gives an eGFR."""
        if not isinstance(self.sample, Sample):
            raise TypeError("the readings are of classes")
        return self.sample

    @property
    def of_classes(self) -> ClassSample:
        """The sample of a bundle whose main head gives classes."""
        if not isinstance(self.sample, ClassSample):
            raise TypeError("the readings are of an eGFR")
        return self.sample


def read_all(bundle: Bundle, precision: str, cohort: Cohort, progress: Progress, *, second: bool = False) -> Readings:
    """Read every crop of a checked cohort on ONNX Runtime, after the bundle's self-test.

    Raises
    ------
    RuntimeUnavailableError
        The precision cannot be run here.
    InferenceError
        The self-test or a reading failed.
    """
    found: list[Reading] = []
    shapes: list[tuple[int, ...]] = []
    stage = f"reading with {bundle.manifest.bundle_id}{' (second)' if second else ''}"
    with select(bundle, RUNTIME, precision).open() as session:
        self_test(bundle, session)
        reader = Reader(bundle, session)
        for start in range(0, len(cohort), BATCH):
            pictures = [_picture(cohort, at) for at in range(start, min(start + BATCH, len(cohort)))]
            shapes += [picture.shape[:2] for picture in pictures]
            found += reader.read_many([_fitted(picture, bundle.manifest.input) for picture in pictures])
            progress(stage, len(found), len(cohort))
    expected = (bundle.manifest.input.height, bundle.manifest.input.width)
    return Readings(
        bundle=bundle,
        sample=sample_of(bundle.manifest, cohort, found),
        distance=np.array([reading.domain_distance for reading in found]),
        first=found[0],
        resized=sum(shape != expected for shape in shapes),
        not_square=sum(shape[0] != shape[1] for shape in shapes),
    )


def _picture(cohort: Cohort, at: int) -> NDArray[np.uint8]:
    picture = read_picture(cohort.crops[at])
    if picture is None:
        raise UsageError(
            "The evaluation was stopped", f"the crop of line {cohort.lines[at]} has gone since", "run it again"
        )
    return picture


def _fitted(picture: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Give a crop the size of the model's input by the app's own resize; the same pixels if it has it."""
    height, width = picture.shape[:2]
    whole = CropBox(0.0, 0.0, float(width), float(height), spec.crop_mode)
    return extract(picture, whole, spec.height, spec.width)
