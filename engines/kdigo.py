"""KDIGO GFR categories, and the creatinine equations that the labels come from.

Sources: KDIGO 2024 CKD guideline, Kidney Int 105(4S), table of GFR categories; Levey 2006 (MDRD-4 with
186 and 175); Levey 2009 (CKD-EPI); Inker 2021 (CKD-EPI without race). A category is of one value at one
time: it is never a diagnosis.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import isnan, pow
from typing import Literal

from engines.errors import UsageError

Category = Literal["G1", "G2", "G3a", "G3b", "G4", "G5"]
Sex = Literal["female", "male"]
Calibration = Literal["non-idms", "idms"]

UNIT = "mL/min/1.73 m2"  # of every eGFR
BOUNDARIES: tuple[float, ...] = (15.0, 30.0, 45.0, 60.0, 90.0)  # a boundary belongs to the better category
CATEGORIES: tuple[Category, ...] = ("G5", "G4", "G3b", "G3a", "G2", "G1")

UMOL_L_PER_MG_DL = 88.4  # creatinine: divide umol/L by it
MDRD_FACTOR: dict[Calibration, float] = {"non-idms": 186.0, "idms": 175.0}
ADULT_YEARS = 18.0
OLDEST_YEARS = 120.0
CREATININE_MG_DL = (0.1, 40.0)  # plausible; 88 umol/L typed as mg/dL falls outside


@dataclass(frozen=True, slots=True)
class _CkdEpi:
    """factor * min(Scr/kappa, 1)^alpha * max(Scr/kappa, 1)^beta * decay^age * female; pairs are (F, M)."""

    factor: float
    alpha: tuple[float, float]
    beta: float
    decay: float
    female: float


_EPI_2009 = _CkdEpi(141.0, (-0.329, -0.411), -1.209, 0.993, 1.018)
_EPI_2021 = _CkdEpi(142.0, (-0.241, -0.302), -1.200, 0.9938, 1.012)
_KAPPA = (0.7, 0.9)


def category(egfr: float) -> Category:
    """Return the GFR category of the unrounded value (mL/min/1.73 m2), by half-open bins [15, 30) etc.

    A negative value, which a model can answer, is G5.

    Raises
    ------
    UsageError
        The value is not a number.
    """
    if isnan(egfr):
        raise UsageError("The GFR category cannot be named", "the eGFR is not a number", "repeat the reading")
    return CATEGORIES[bisect_right(BOUNDARIES, egfr)]


def category_range(low: float, high: float) -> str:
    """Return the categories that an interval (mL/min/1.73 m2, ends included) spans, better one first.

    ``category_range(20, 50) == "G3a-G4"``; one category alone where both ends share it.

    Raises
    ------
    UsageError
        An end is not a number, or ``low`` is above ``high``.
    """
    if low > high:
        raise UsageError("The GFR category range cannot be named", "its ends are swapped", "give the lower end first")
    worse, better = category(low), category(high)
    return better if better == worse else f"{better}-{worse}"


def boundary_distance(egfr: float) -> float:
    """Return the distance of a value to the nearest category boundary, mL/min/1.73 m2."""
    return min(abs(egfr - boundary) for boundary in BOUNDARIES)


def mdrd4(
    creatinine_mg_dl: float, age_years: float, sex: Sex, calibration: Calibration = "idms", *, black: bool = False
) -> float:
    """Return eGFR by the abbreviated (four variable) MDRD equation, mL/min/1.73 m2.

    ``calibration``: "idms" (factor 175) for assays traceable to IDMS, "non-idms" (186), which made the
    labels of Kuo et al. 2019. ``black`` applies the historical factor 1.212, only to reproduce old
    results: it is off by default and nothing in the app turns it on.

    Raises
    ------
    UsageError
        Creatinine is not 0.1 to 40 mg/dL, the age not 18 to 120 years, or the sex not one of the two.
    """
    _check(creatinine_mg_dl, age_years, sex)
    value = MDRD_FACTOR[calibration] * pow(creatinine_mg_dl, -1.154) * pow(age_years, -0.203)
    return value * (0.742 if sex == "female" else 1.0) * (1.212 if black else 1.0)


def ckd_epi_2009(creatinine_mg_dl: float, age_years: float, sex: Sex, *, black: bool = False) -> float:
    """Return eGFR by CKD-EPI 2009 (Levey 2009), mL/min/1.73 m2; arguments and errors as ``mdrd4``.

    ``black`` applies the historical factor 1.159, only to reproduce old results: off by default.
    """
    _check(creatinine_mg_dl, age_years, sex)
    return _ckd_epi(_EPI_2009, creatinine_mg_dl, age_years, sex) * (1.159 if black else 1.0)


def ckd_epi_2021(creatinine_mg_dl: float, age_years: float, sex: Sex) -> float:
    """Return eGFR by CKD-EPI 2021 (Inker 2021, no race term), mL/min/1.73 m2; errors as ``mdrd4``."""
    _check(creatinine_mg_dl, age_years, sex)
    return _ckd_epi(_EPI_2021, creatinine_mg_dl, age_years, sex)


def creatinine_mg_dl(umol_l: float) -> float:
    """Return creatinine in mg/dL from micromol/L."""
    return umol_l / UMOL_L_PER_MG_DL


def _ckd_epi(form: _CkdEpi, creatinine: float, age: float, sex: Sex) -> float:
    which = 0 if sex == "female" else 1
    ratio = creatinine / _KAPPA[which]
    below, above = pow(min(ratio, 1.0), form.alpha[which]), pow(max(ratio, 1.0), form.beta)
    value = form.factor * below * above * pow(form.decay, age)
    return value * (form.female if sex == "female" else 1.0)


def _check(creatinine: float, age: float, sex: Sex) -> None:
    what = "The eGFR cannot be calculated"
    low, high = CREATININE_MG_DL
    if not low <= creatinine <= high:
        cure = f"give {low} to {high:.0f} mg/dL (umol/L divided by {UMOL_L_PER_MG_DL})"
        raise UsageError(what, f"creatinine is {creatinine} mg/dL", cure)
    if not ADULT_YEARS <= age <= OLDEST_YEARS:
        raise UsageError(what, f"the age is {age} years and the equations hold from 18", "use them for adults only")
    if sex not in ("female", "male"):
        raise UsageError(what, f"the sex is '{sex}'", "give female or male")
