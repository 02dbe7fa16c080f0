"""Gathers sources to one list of different crops, or refuses them in one sentence that says all that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.crops.door import Door
from convert.crops.identity import canonical
from convert.crops.intake import EVERY_S, Intake
from convert.crops.sample import Sample
from convert.crops.sources import take, unusable
from convert.crops.truth import Vector, columns_of, truth_of
from convert.defects import Defects
from convert.plan import CALIBRATION_MINIMUM
from convert.progress import Progress
from engines.errors import UsageError
from engines.manifest import HeadSpec, InputSpec

ADVISED = 500  # crops; with fewer, the ranges of INT8 and the domain check see too few of the pictures to come
TWICE = "{} pictures were there twice for the same patient and were left out."
SHARED = "{} patients' names are in several sources and were taken for the same persons."
FEW = "{} crops are fewer than the {} that are advised."


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of sources: crops for which input, truth of which heads, values of which further columns."""

    spec: InputSpec
    heads: tuple[HeadSpec, ...] = ()
    columns: tuple[str, ...] = ()
    every_s: float = EVERY_S
    door: Door | None = None  # through which goes what is to be written


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Samples in canonical order, the truth of each head (K,), their common hash and what must be said of them."""

    samples: tuple[Sample, ...]
    truth: Mapping[str, Vector]
    sha256: str
    simulated: bool
    remarks: tuple[str, ...]


def gather(sources: Sequence[Path], wish: Wish, progress: Progress) -> Gathered:
    """Read all sources, drop what is there twice, and put the rest in canonical order.

    Raises
    ------
    UsageError
        A source cannot be read, something in them is wrong (all of it is in the sentence), crops of the phantom and
        of patients are mixed, or fewer than 200 different crops are left.
    """
    what = unusable(sources[0] if len(sources) == 1 else f"The {len(sources)} sources together")
    intake = _take_all(sources, wish, progress)
    found = intake.samples
    truth = truth_of(wish.heads, [item.facts for item in found], intake.defects)
    kept = _different(found, intake.defects)
    if kept and len({found[at].simulated for at in kept}) > 1:
        intake.defects.whole("it holds pictures of the phantom and of patients")
    intake.defects.refuse(what, "correct it and run it again")
    if len(kept) < len(found):
        intake.lose(TWICE, len(found) - len(kept))
    _require_enough(what, len(kept), intake.losses)
    if len(kept) < ADVISED:
        intake.say(FEW.format(len(kept), ADVISED))
    order, sha256 = canonical([found[at] for at in kept], wish.spec.height, wish.spec.width)
    places = [kept[at] for at in order]
    return Gathered(
        samples=tuple(found[at] for at in places),
        truth={name: values[places] for name, values in truth.items()},
        sha256=sha256,
        simulated=found[places[0]].simulated,
        remarks=intake.remarks,
    )


def _take_all(sources: Sequence[Path], wish: Wish, progress: Progress) -> Intake:
    columns = tuple(dict.fromkeys((*columns_of(wish.heads), *wish.columns)))
    intake = Intake(wish.spec, columns, wish.every_s, progress, several=len(sources) > 1, door=wish.door)
    seen, shared = set[str](), set[str]()
    for source in sources:
        before = len(intake.samples)
        take(source, intake)
        names = {item.facts.patient for item in intake.samples[before:] if item.facts.named}
        shared |= names & seen
        seen |= names
    if shared:
        intake.remark(SHARED, len(shared))
    return intake


def _different(samples: Sequence[Sample], defects: Defects) -> list[int]:
    """Return the places of different crops; the same picture of two named patients is a defect."""
    first: dict[str, int] = {}
    for at, item in enumerate(samples):
        known = samples[first.setdefault(item.digest, at)].facts
        if known.named and item.facts.named and known.patient != item.facts.patient:
            defects.add("the same picture belongs to two patients", f"{known.where} and {item.facts.where}")
        elif item.facts.named and not known.named:
            first[item.digest] = at  # the one that says whose it is
    return sorted(first.values())


def _require_enough(what: str, crops: int, losses: Sequence[str]) -> None:
    if crops >= CALIBRATION_MINIMUM:
        return
    lost = " ".join(sentence.rstrip(".") + ";" for sentence in losses).rstrip(";")
    because = f"it holds {crops} and at least {CALIBRATION_MINIMUM} are needed" + (f" ({lost})" if lost else "")
    raise UsageError(what, because, "add crops of your own scanner")
