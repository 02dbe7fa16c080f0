"""Reads what ``echogfr analyze VIDEO --jsonl`` said of a video: where its crops lie, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from convert.crops.pictures import Ends

# Refusals that come after the picture itself was found good: they speak of the model that happened to be loaded.
OF_THE_MODEL = frozenset({"no_model", "phantom_picture", "busy", "model_failed", "out_of_domain"})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a report says much more, and may say other things later


class _Crop(_Model):
    poles: Ends


class _Refusal(_Model):
    code: str


class _Frame(_Model):
    frame: int
    t_ms: float
    crop: _Crop | None
    refusal: _Refusal | None = None


class _Source(_Model):
    size: tuple[int, int] | None = None


class _Summary(_Model):
    summary: Literal[True]
    source: _Source = _Source()


_LINE: TypeAdapter[_Summary | _Frame] = TypeAdapter(_Summary | _Frame)


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a video: poles and time (milliseconds) by index of the frame; ``size`` is (width, height).

    ``refused``: frames with a crop that was refused for the picture's sake: no model would read them.
    ``bare``: frames in which no poles were found.
    """

    poles: Mapping[int, Ends]
    t_ms: Mapping[int, float]
    size: tuple[int, int] | None
    refused: int
    bare: int


class ReportError(Exception):
    """A report cannot be used; the message is a clause of a sentence."""


def read_report(path: Path) -> Report:
    """Read a report line by line.

    Raises
    ------
    ReportError
        It is no report, or was cut short: its last line must be the summary.
    """
    poles, times, refused, bare = dict[int, Ends](), dict[int, float](), 0, 0
    try:
        with path.open(encoding="utf-8") as file:
            for text in file:
                line = _LINE.validate_json(text)
                if isinstance(line, _Summary):
                    return Report(poles, times, line.source.size, refused, bare)
                times[line.frame] = line.t_ms
                if line.crop is not None and (line.refusal is None or line.refusal.code in OF_THE_MODEL):
                    poles[line.frame] = line.crop.poles
                bare += line.crop is None
                refused += line.crop is not None and line.frame not in poles
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ReportError("reports cannot be read") from error
    raise ReportError("reports are cut short")
