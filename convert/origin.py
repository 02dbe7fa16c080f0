"""What a source of weights says of its model beside the weights: files, published errors, what to examine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from convert.answers import Answers
from engines.manifest import IntervalSpec


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that went into the bundle."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Published:
    """The interval that a regression starts with where too few local patients are labelled."""

    interval: IntervalSpec
    patients: tuple[int, ...]  # behind each band
    error: str  # a sentence: what is published of the error


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Something that was looked at: a question and its finding for card and report, numbers for the JSON."""

    key: str
    question: str
    finding: str
    numbers: Mapping[str, object]


Examine = Callable[[Answers], Observation]  # fp32 over all crops; raises UsageError if the model cannot be trusted


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """All of it; a model of which nothing is published needs its files only."""

    files: tuple[SourceFile, ...]
    published: Mapping[str, Published] = field(default_factory=dict)  # by head
    examine: Examine | None = None
