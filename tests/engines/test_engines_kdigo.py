from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import UsageError
from engines.kdigo import (
    boundary_distance,
    category,
    category_range,
    ckd_epi_2009,
    ckd_epi_2021,
    creatinine_mg_dl,
    mdrd4,
)

VECTORS = [  # Scr mg/dL, age, sex, MDRD-186, MDRD-175, CKD-EPI 2009, CKD-EPI 2021
    (1.0, 50, "male", 84.07, 79.09, 87.37, 91.69),
    (1.2, 50, "male", 68.12, 64.09, 70.09, 73.67),
    (1.0, 65, "female", 59.14, 55.64, 59.07, 62.52),
    (0.6, 30, "female", 124.76, 117.38, 122.31, 123.76),
    (2.5, 70, "male", 27.27, 25.66, 25.07, 26.96),
    (6.0, 60, "female", 7.60, 7.15, 7.01, 7.51),
]


@pytest.mark.parametrize(("creatinine", "age", "sex", "mdrd186", "mdrd175", "epi2009", "epi2021"), VECTORS)
def test_the_equations_give_the_known_values(creatinine, age, sex, mdrd186, mdrd175, epi2009, epi2021) -> None:
    assert mdrd4(creatinine, age, sex, "non-idms") == pytest.approx(mdrd186, abs=0.006)
    assert mdrd4(creatinine, age, sex) == pytest.approx(mdrd175, abs=0.006)
    assert ckd_epi_2009(creatinine, age, sex) == pytest.approx(epi2009, abs=0.006)
    assert ckd_epi_2021(creatinine, age, sex) == pytest.approx(epi2021, abs=0.006)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (-3.0, "G5"), (14.999, "G5"), (15.0, "G4"), (29.999, "G4"), (30.0, "G3b"), (44.999, "G3b"),
        (45.0, "G3a"), (59.999, "G3a"), (60.0, "G2"), (89.999, "G2"), (90.0, "G1"), (200.0, "G1"),
    ],
)  # fmt: skip
def test_a_boundary_belongs_to_the_better_category(value: float, name: str) -> None:
    assert category(value) == name


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (20, 50, "G3a-G4"),
        (0, 10, "G5"),
        (45, 59.9, "G3a"),
        (45, 60, "G2-G3a"),
        (0, 200, "G1-G5"),
        (44.9, 45, "G3a-G3b"),
    ],
)
def test_a_range_names_the_better_category_first(low: float, high: float, text: str) -> None:
    assert category_range(low, high) == text


@given(st.floats(0, 200), st.floats(0, 200))
def test_a_range_holds_the_category_of_both_ends(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert set(category_range(low, high).split("-")) == {category(low), category(high)}


@given(st.floats(0.3, 15), st.floats(18, 95), st.sampled_from(["female", "male"]))
def test_more_creatinine_or_age_never_means_more_function(creatinine: float, age: float, sex) -> None:
    for equation in (mdrd4, ckd_epi_2009, ckd_epi_2021):
        assert equation(creatinine * 1.1, age, sex) < equation(creatinine, age, sex)
        assert equation(creatinine, age + 5, sex) < equation(creatinine, age, sex)


def test_no_race_term_unless_it_is_asked_for() -> None:
    assert mdrd4(1.0, 50, "male", black=True) / mdrd4(1.0, 50, "male") == pytest.approx(1.212)
    assert ckd_epi_2009(1.0, 50, "male", black=True) / ckd_epi_2009(1.0, 50, "male") == pytest.approx(1.159)


@pytest.mark.parametrize(
    ("creatinine", "age", "sex", "reason"),
    [
        (0.0, 50, "male", "creatinine is 0.0"),
        (-1.0, 50, "male", "creatinine is -1.0"),
        (float("nan"), 50, "male", "creatinine is nan"),
        (88.0, 50, "male", "divided by 88.4"),
        (1.0, 17.9, "female", "adults only"),
        (1.0, float("nan"), "female", "adults only"),
        (1.0, 50, "other", "female or male"),
    ],
)
def test_input_that_the_equations_do_not_hold_for_is_refused(creatinine, age, sex, reason: str) -> None:
    for equation in (mdrd4, ckd_epi_2009, ckd_epi_2021):
        with pytest.raises(UsageError, match=reason):
            equation(creatinine, age, sex)


def test_a_value_that_is_no_number_has_no_category() -> None:
    with pytest.raises(UsageError, match="not a number"):
        category(float("nan"))
    with pytest.raises(UsageError, match="swapped"):
        category_range(50, 20)


def test_micromoles_become_milligrams() -> None:
    assert creatinine_mg_dl(88.4) == pytest.approx(1.0)


def test_the_distance_to_the_nearest_boundary() -> None:
    assert boundary_distance(59.0) == 1.0
    assert boundary_distance(75.0) == 15.0
