"""What is published of the model: cohort, limits of use and the starting interval (clinic-and-paper 1.1 to 1.7)."""

from __future__ import annotations

from convert.kuo.crops import Crops
from convert.statistics import Bands, Vector, conformal_bands
from engines.manifest import IntervalSpec

RECIPE = (
    "Kuo 2019 (npj Digit Med 2:29): ResNet-101 with its 1000-way ImageNet layer kept, then 512, 256 and 1, bagged by "
    "patient, L1 loss; per member boosted trees (xgboost 0.72) on selected pooled features; means over members."
)
DATA = (
    "as published, not verified from the files: GE LOGIQ E9 and P3, one hospital in Taichung, pre-ESRD patients, "
    "4,505 images of 1,446 patients, of whom about 1,286 took part in training and validation; MDRD with 186"
)
PATIENTS = 1286
LEVEL = 0.9
LOCAL_LEAST = 50  # labelled patients that a local interval must rest on (clinic-and-paper 7.2)
PUBLISHED_BASIS = "from the authors' published figure, one fold, not local"
PUBLISHED = IntervalSpec(
    level=LEVEL,
    edges=(20.0, 30.0, 45.0, 60.0),
    low=(-15.0, -27.0, -36.0, -69.0, -100.0),
    high=(15.0, 27.0, 36.0, 69.0, 100.0),
    patients=161,
    basis=PUBLISHED_BASIS,
)
PUBLISHED_BANDS = (33, 34, 51, 25, 18)  # patients of the figure by band
SIMULATED = (
    "Calibrated on SYNTHETIC crops of the phantom: its domain check, its INT8 ranges and its parity say nothing "
    "of pictures of patients; convert it again with crops of your own scanner."
)
LIMITS_OF_USE = (
    "Research use only: an image-derived value, at one time point, that no decision may rest on.",
    "Made from adults before dialysis, seen with two scanners of one maker in one hospital, both kidneys with intact "
    "parenchyma; transplants, children, acute injury, other makers and handheld probes are outside its domain.",
    "Made for one longitudinal view of a kidney between its two length markers; anything else is outside its domain.",
    "The crop takes the size away: the length of the kidney is not seen and must be judged beside the value.",
    "Regresses to the mean: published bias +15 below 15, -20 from 60 to 90 and -58 above 90 mL/min/1.73 m².",
    "P(eGFR < 60) was made where four of five patients were below 60; at lower prevalence most alarms are false.",
)


def local_interval(predicted: Vector, truth: Vector) -> tuple[IntervalSpec, tuple[int, ...]]:
    """Return the split-conformal interval of labelled local patients (one crop each) and the patients by band."""
    bands: Bands = conformal_bands(predicted, truth, LEVEL)
    count = len(truth)
    spec = IntervalSpec(
        level=LEVEL,
        edges=bands.edges,
        low=bands.low,
        high=bands.high,
        patients=count,
        basis=f"split conformal on {count} local patients of the calibration crops, one crop each",
    )
    return spec, bands.patients


def labelled_patients(crops: Crops) -> int:
    """Count the patients with a known eGFR."""
    return len(set(crops.patients[crops.labelled].tolist()))
