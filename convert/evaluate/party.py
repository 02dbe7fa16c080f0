"""Who makes decisions about an eGFR: the bundle, and a reader or a second bundle on the same crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from convert.evaluate.contest import Score
from convert.evaluate.plan import ReaderMeaning
from convert.evaluate.sample import Sample, Vector

P_HEAD, EGFR_HEAD = "P(eGFR < 60)", "minus predicted eGFR"


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """Whoever makes decisions: a name, its answers in the place of the bundle's, the rules that apply."""

    name: str
    sample: Sample
    rules: tuple[str, ...]  # "p", "egfr"
    agreement: bool  # its eGFR can be compared with the reference


def rules_of(sample: Sample) -> tuple[str, ...]:
    """Return the rules of a bundle, by the heads that it has."""
    return ("egfr",) if sample.probability is None else ("p", "egfr")


def head_scores(sample: Sample, of: str = "") -> tuple[Score, ...]:
    """Return the scores of the heads that there are; ``of`` names another bundle."""
    tail = f", {of}" if of else ""
    egfr = Score(EGFR_HEAD + tail, -sample.egfr)
    return (egfr,) if sample.probability is None else (Score(P_HEAD + tail, sample.probability), egfr)


def reader_score(column: str, values: Vector, means: ReaderMeaning) -> Score:
    """Return the score of a reader column, turned round if it holds eGFR estimates."""
    return Score(f"readers ({column})", -values if means == "egfr" else values)


def reader_party(column: str, values: Vector, means: ReaderMeaning, sample: Sample) -> Party | None:
    """Return the reader as a party, on the rows with a value; None for a score without a cut of its own."""
    given = ~np.isnan(values)
    part, said = sample.rows(given), values[given]
    name = f"readers ({column})"
    if means == "egfr":
        return Party(name, replace(part, egfr=said), ("egfr",), agreement=True)
    if set(np.unique(said).tolist()) <= {0.0, 1.0}:
        return Party(name, replace(part, probability=said, p_cut=0.5), ("p",), agreement=False)
    return None


def pairs(heads: Sequence[Score], others: Sequence[Score], *, readers: bool) -> list[tuple[Score, Score]]:
    """Return who meets whom: the heads each other, then each head a reader, or like with like another bundle."""
    own = [(heads[0], heads[1])] if len(heads) == 2 else []
    if readers:
        return [*own, *((head, other) for other in others for head in heads)]
    alike = zip(reversed(heads), reversed(others), strict=False)  # an eGFR is last and always there
    return [*own, *reversed(list(alike))]
