"""Finds the fewest layers to leave in float where INT8 exceeds its limits.

On one member and a few crops, as ten members take minutes an attempt:

1. every unit (a block, or a convolution of a trunk without blocks) is quantised alone, and ranked by what that does,
   in multiples of the limits;
2. the shortest head of this ranking is searched, by halves, that brings the error of the member as far down as the
   error of the whole has to come down.

The whole is proven again afterwards on its own crops; if that is not enough, ``further`` leaves more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.anatomy import dissect
from convert.answers import Answers
from convert.calibration import pairs
from convert.parity import compare, from_trees, label
from convert.plan import LIMITS, ParityLimits
from convert.progress import Progress
from convert.ranges import Ranges
from convert.running import BATCH, Run, concatenated
from convert.trade import Step, Trade, Unit
from engines.manifest import Family, HeadParity, HeadSpec, ParityRow, RegressionHead

CROPS = 24  # for each evaluation
MOST_UNITS = 36  # evaluations of the ranking; neighbours are taken together where there are more
TIMED, REPEATS, ENOUGH_S = 4, 3, 0.5  # crops of a timed batch; the best of so many or of so long counts
MARGIN = 0.9  # of the target, as few crops of one member stand for all of the whole
FURTHER = 0.125  # of the units so far, at least one, are added where the whole still fails


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What is looked into: one member in fp32, its ranges, the crops, and the row of the whole that failed."""

    model: onnx.ModelProto
    ranges: Ranges
    crops: NDArray[np.uint8]
    heads: tuple[HeadSpec, ...]
    failed: ParityRow


def search(case: Case, progress: Progress) -> Trade:
    """Return which units to leave in float.

    At most 36 evaluations for the ranking and 7 for the search, each of 24 crops on one member.
    """
    return _Search(case, progress).trade()


def further(trade: Trade) -> Trade:
    """Return the trade with more units left."""
    count = len(trade.left) + max(1, round(FURTHER * len(trade.left)))
    return replace(trade, left=tuple(unit.name for unit in trade.units[:count]))


def units_of(left: Sequence[str]) -> frozenset[str]:
    """Return the units of the graph behind the names of a trade: neighbours that were taken together are parted."""
    return frozenset(name for names in left for name in names.split(" + "))


def excess(row: ParityRow, reference: Answers, limits: ParityLimits) -> float:
    """Return the largest measure of a row in multiples of its limit; flips are counts and left out."""
    both = zip(reference.heads, row.heads, strict=True)
    return max((value for head, found in both for value in _measures(head, found, reference, limits)), default=0.0)


def _measures(head: HeadSpec, found: HeadParity, reference: Answers, limits: ParityLimits) -> Iterator[float]:
    if isinstance(head, RegressionHead):
        yield found.p95 / (limits.regression_p95 * head.resolution)
        yield found.p99 / (limits.regression_p99 * head.resolution)
    elif not from_trees(head, reference):
        yield found.p95 / limits.probability_p95
    if found.auc is not None:
        yield -found.auc.change / limits.auc_loss
    if found.map_correlation is not None:
        yield (1 - found.map_correlation) / (1 - limits.map_correlation)


class _Search:
    """One search; counts its evaluations."""

    def __init__(self, case: Case, progress: Progress) -> None:
        self._case = case
        self._family: Family = case.failed.family
        self._limits = LIMITS[case.failed.precision]
        self._groups = _groups(dissect(case.model).units)
        self._crops = case.crops[np.linspace(0, len(case.crops) - 1, CROPS).round().astype(int)]
        self._reference = self._answers(Run(case.model))
        self._progress = progress
        self._planned = len(self._groups) + int(np.ceil(np.log2(len(self._groups) + 1))) + 1
        self._done = 0
        self._full = 0.0  # CPU seconds of a timed batch in full INT8

    def trade(self) -> Trade:
        """Rank, search by halves, and say what was found."""
        failed, heads = self._case.failed, self._case.heads
        self._full = self._time(())
        full = self._step(())
        target = MARGIN * full.excess / max(1.0, excess(failed, self._reference, self._limits))
        units = sorted((self._alone(group) for group in self._groups), key=lambda unit: -unit.excess)
        order = [unit.name for unit in units]
        steps = {0: full}
        low, high = 0, len(order) - 1  # with all but one left it is hardly INT8; the whole decides whether that will do
        while high - low > 1:
            middle = (low + high) // 2
            steps[middle] = self._step(order[:middle])
            low, high = (low, middle) if steps[middle].excess <= target else (middle, high)
        count = max(1, high)
        if count not in steps:
            steps[count] = self._step(order[:count])
        self._progress(self._stage, self._planned, self._planned)
        head = heads[0]
        return Trade(
            family=self._family,
            head=label(head),
            unit=head.unit if isinstance(head, RegressionHead) else "1",
            reasons=failed.reasons,
            target=target,
            units=tuple(units),
            steps=tuple(steps[left] for left in sorted(steps)),
            left=tuple(order[:count]),
            crops=len(self._crops),
            evaluations=self._done,
        )

    @property
    def _stage(self) -> str:
        return f"looking for layers that INT8 for {self._family} harms"

    def _alone(self, group: str) -> Unit:
        """Quantise one group and nothing else."""
        others = frozenset(name for other in self._groups if other != group for name in units_of([other]))
        row = self._compare(others)
        return Unit(group, row.heads[0].p95, excess(row, self._reference, self._limits))

    def _step(self, left: Sequence[str]) -> Step:
        row = self._compare(units_of(left))
        taken = self._time(left) / self._full if left else 1.0
        return Step(len(left), row.heads[0].p95, excess(row, self._reference, self._limits), taken)

    def _compare(self, left: frozenset[str]) -> ParityRow:
        self._progress(self._stage, self._done, self._planned)
        self._done += 1
        model = pairs(self._case.model, self._family, self._case.ranges, left)
        found = self._answers(Run(model, as_written=self._family == "tensorrt"))
        failed = self._case.failed
        return compare((failed.precision, failed.family), self._reference, found, {})

    def _answers(self, run: Run) -> Answers:
        parts = [run(self._crops[start : start + BATCH]) for start in range(0, len(self._crops), BATCH)]
        return Answers(self._case.heads, concatenated(parts))

    def _time(self, left: Sequence[str]) -> float:
        """Return the CPU seconds of a batch in the form for CPUs, which alone runs in integers here."""
        run = Run(pairs(self._case.model, "cpu", self._case.ranges, units_of(left)))
        batch = self._crops[:TIMED]
        run(batch)
        taken: list[float] = []
        while len(taken) < REPEATS or (sum(taken) < ENOUGH_S and len(taken) < 10 * REPEATS):
            started = time.process_time()  # of all threads: other programs on the machine do not count
            run(batch)
            taken.append(time.process_time() - started)
        return min(taken)


def _groups(units: Sequence[str]) -> list[str]:
    """Return the units, neighbours taken together where there are too many."""
    each = -(-len(units) // MOST_UNITS)
    return [" + ".join(units[start : start + each]) for start in range(0, len(units), each)]
