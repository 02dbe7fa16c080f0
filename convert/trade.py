"""Trade: which layers were left in float so that INT8 keeps within its limits, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass

from engines.manifest import Family


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer or block, with what quantising it alone does to one member.

    ``error``: 95 % of |delta| of the main head; ``excess``: the largest measure in multiples of its limit.
    """

    name: str
    error: float
    excess: float


@dataclass(frozen=True, slots=True)
class Step:
    """INT8 with the ``left`` worst units in float, measured on one member.

    ``error``: 95 % of |delta| of the main head; ``excess``: the largest measure in multiples of its limit; ``time``:
    CPU time of a crop on this machine in multiples of full INT8's, by the form for CPUs.
    """

    left: int
    error: float
    excess: float
    time: float


@dataclass(frozen=True, slots=True)
class Trade:
    """What was tried for one family. ``left``: units that stay in float, worst first; in the order of ``units``.

    ``reasons``: why INT8 in all layers was refused; ``target``: excess of one member at which the whole is expected
    to keep its limits; ``unit`` of the errors, that of the head ("1" for a probability).
    """

    family: Family
    head: str
    unit: str
    reasons: tuple[str, ...]
    target: float
    units: tuple[Unit, ...]  # worst first
    steps: tuple[Step, ...]  # by number of units left
    left: tuple[str, ...]
    crops: int
    evaluations: int

    @property
    def kept(self) -> str:
        """What the units that are left compute in."""
        return "FP16" if self.family == "tensorrt" else "FP32"

    @property
    def exhausted(self) -> bool:
        """True where nothing would be left in INT8."""
        return len(self.left) >= len(self.units)

    @property
    def sentence(self) -> str:
        """What was done, for card and terminal."""
        names = ", ".join(self.left)
        return (
            f"INT8 for {self.family}: {len(self.left)} of {len(self.units)} units stay in {self.kept} ({names}), "
            f"because with all of them in INT8 {'; '.join(self.reasons)}"
        )

    @property
    def lines(self) -> list[str]:
        """The numbers of the plot as text."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        return [
            f"{step.left:3d} of {len(self.units)} units in {self.kept}: 95 % of |Δ {self.head}| of one member "
            f"{step.error:.3g}{unit}, {step.time:.2f} x the CPU time of full INT8"
            for step in self.steps
        ]
