"""What is published of the model: cohort, limits of use and the starting interval (clinic-and-paper 1.1 to 1.7)."""

from __future__ import annotations

from convert.egfr_heads import EGFR
from convert.origin import Published
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
ERROR = "Published: r 0.74, limits of agreement about -51 to +44."
PUBLISHED_BY_HEAD = {EGFR.name: Published(PUBLISHED, PUBLISHED_BANDS, ERROR)}
LIMITS_OF_USE = (
    "Research use only: an image-derived value, at one time point, that no decision may rest on.",
    "Made from adults before dialysis, seen with two scanners of one maker in one hospital, both kidneys with intact "
    "parenchyma; transplants, children, acute injury, other makers and handheld probes are outside its domain.",
    "Made for one longitudinal view of a kidney between its two length markers; anything else is outside its domain.",
    "The crop takes the size away: the length of the kidney is not seen and must be judged beside the value.",
    "Regresses to the mean: published bias +15 below 15, -20 from 60 to 90 and -58 above 90 mL/min/1.73 m².",
    "P(eGFR < 60) was made where four of five patients were below 60; at lower prevalence most alarms are false.",
)
