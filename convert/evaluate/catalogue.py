"""The measures of the report: key, words, unit and how they are written."""

from __future__ import annotations

from dataclasses import dataclass

UNIT = "mL/min/1.73 m²"


@dataclass(frozen=True, slots=True)
class Entry:
    """One measure as a person reads it; ``digits`` after the point, ``percent`` shows a share in %."""

    key: str
    name: str
    unit: str = ""
    digits: int = 3
    percent: bool = False


AGREEMENT = (
    Entry("r", "Pearson r"),
    Entry("r2", "R² (1 − residual / total sum of squares)"),
    Entry("mae", "mean absolute error", UNIT, 1),
    Entry("rmse", "root mean squared error", UNIT, 1),
    Entry("bias", "bias (mean of predicted − reference)", UNIT, 1),
    Entry("median_bias", "median bias", UNIT, 1),
    Entry("sd", "SD of the differences", UNIT, 1),
    Entry("loa_low", "lower limit of agreement", UNIT, 1),
    Entry("loa_high", "upper limit of agreement", UNIT, 1),
    Entry("proportional_bias", "proportional bias: slope of the difference on the mean"),
    Entry("p30", "P30: within 30 % of the reference", "%", 1, True),
    Entry("p10", "P10: within 10 % of the reference", "%", 1, True),
    Entry("icc", "ICC(A,1), absolute agreement"),
    Entry("ccc", "Lin's concordance correlation coefficient"),
    Entry("egfr_slope", "calibration slope: reference on predicted"),
    Entry("egfr_intercept", "calibration intercept: reference on predicted", UNIT, 1),
)
CATEGORY = (
    Entry("category_exact", "same GFR category", "%", 1, True),
    Entry("category_within_one", "same or neighbouring GFR category", "%", 1, True),
    Entry("kappa_linear", "weighted kappa, linear"),
    Entry("kappa_quadratic", "weighted kappa, quadratic"),
)
CALIBRATION = (
    Entry("p_slope", "calibration slope (log-odds; 1 is perfect)"),
    Entry("p_intercept", "calibration intercept (log-odds; 0 is perfect)"),
    Entry("p_in_the_large", "calibration in the large (slope held at 1; 0 is perfect)"),
    Entry("brier", "Brier score (0 is perfect; of more than two grades their sum)"),
    Entry("ece", "expected calibration error, ten equal bins"),
)
SAFETY = (
    Entry("coverage", "reference inside the prediction interval", "%", 1, True),
    Entry("width", "mean width of the prediction interval", UNIT, 1),
    Entry("refused", "refused by the domain check", "%", 1, True),
    Entry("heads_agree", "both heads say compatible things", "%", 1, True),
)
DECISION = (
    Entry("sensitivity", "sensitivity", "%", 1, True),
    Entry("specificity", "specificity", "%", 1, True),
    Entry("ppv", "PPV at this prevalence", "%", 1, True),
    Entry("npv", "NPV at this prevalence", "%", 1, True),
    Entry("accuracy", "accuracy", "%", 1, True),
)
STRATUM = (
    Entry("r", "Pearson r"),
    Entry("bias", "bias", UNIT, 1),
    Entry("mae", "MAE", UNIT, 1),
    Entry("p30", "P30", "%", 1, True),
    Entry("auc_p", "AUC of P"),
    Entry("coverage", "coverage", "%", 1, True),
    Entry("width", "width", UNIT, 1),
    Entry("refused", "refused", "%", 1, True),
)
CLASS = (
    Entry("class_exact", "same as the reference (accuracy)", "%", 1, True),
    Entry("class_within_one", "same or neighbouring grade", "%", 1, True),
    Entry("kappa_linear", "weighted kappa, linear"),
    Entry("kappa_quadratic", "weighted kappa, quadratic"),
)
EVENT_STRATUM = (
    Entry("auc_1", "AUC"),
    Entry("class_exact", "accuracy", "%", 1, True),
    Entry("1_sensitivity", "sensitivity", "%", 1, True),
    Entry("1_specificity", "specificity", "%", 1, True),
    Entry("brier", "Brier score"),
    Entry("refused", "refused", "%", 1, True),
)
GRADES_STRATUM = (
    Entry("class_exact", "accuracy", "%", 1, True),
    Entry("class_within_one", "same or neighbouring", "%", 1, True),
    Entry("kappa_quadratic", "kappa, quadratic"),
    Entry("brier", "Brier score"),
    Entry("refused", "refused", "%", 1, True),
)
INTERVAL = (
    Entry("coverage", "coverage", "%", 1, True),
    Entry("width", "width", UNIT, 1),
    Entry("bias", "bias", UNIT, 1),
    Entry("mae", "MAE", UNIT, 1),
    Entry("refused", "refused", "%", 1, True),
)
