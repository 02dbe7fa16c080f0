"""Thresholds: the limits of the quality gate by scanner, from the app's own file and from the operator's."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.quality import QualityRules
from engines.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAKERS = re.compile(
    r"\b(ge|logiq|voluson|philips|siemens|acuson|canon|toshiba|sonosite|mindray|butterfly|clarius|samsung|hitachi|esaote)\b",
    re.IGNORECASE,
)
SAME_MAKER = {"logiq": "ge", "voluson": "ge", "acuson": "siemens", "toshiba": "canon"}
SURE = 0.85
WHAT = "The quality limits cannot be used"

Pair = tuple[float, float]


class Limits(BaseModel):
    """Limits of some measures, (soft, hard); None: another table's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dark_mean: Pair | None = None
    bright_mean: Pair | None = None
    contrast: Pair | None = None
    saturated: Pair | None = None
    dark: Pair | None = None
    sharpness: Pair | None = None
    entropy: Pair | None = None
    shadow: Pair | None = None
    coverage: Pair | None = None
    margin: Pair | None = None
    moving: Pair | None = None
    colour: Pair | None = None


class Thresholds(BaseModel):
    """Limits for all scanners, for a maker's, and for one layout of a screen (a scanner with a preset)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Limits = Limits()
    maker: dict[str, Limits] = {}
    layout: dict[str, Limits] = {}

    def rules(self, maker: str | None = None, layout: str | None = None) -> QualityRules:
        """Return the rules for a screen: the most particular limit of each measure."""
        tables = (self.default, self.maker.get(maker or ""), self.layout.get(layout or ""))
        known = [table.model_dump(exclude_none=True) for table in tables if table is not None]
        return replace(QualityRules(), **{name: value for table in known for name, value in table.items()})

    def over(self, other: Thresholds) -> Thresholds:
        """Return these thresholds, and the other's where these say nothing."""
        return Thresholds(
            default=_over(self.default, other.default),
            maker=_joined(self.maker, other.maker),
            layout=_joined(self.layout, other.layout),
        )


def load_thresholds(own: Path | None = None) -> Thresholds:
    """Return the app's thresholds, under the operator's ``own`` file where there is one.

    Raises
    ------
    UsageError
        The file cannot be read, is not TOML, or holds what is no limit.
    """
    shipped = _shipped()
    return shipped if own is None else _read(own).over(shipped)


def find_maker(lines: Iterable[TextLine]) -> str | None:
    """Return the scanner's maker if the words of the screen name one and no other, as ``quality.toml`` writes it."""
    texts = (line.text for line in lines if line.confidence >= SURE)
    named = {match.group().lower() for text in texts for match in MAKERS.finditer(text)}
    makers = {SAME_MAKER.get(name, name) for name in named}
    return makers.pop() if len(makers) == 1 else None


@lru_cache(maxsize=1)
def _shipped() -> Thresholds:
    text = (files("edge_app.imaging") / "quality.toml").read_text(encoding="utf-8")
    return Thresholds.model_validate(tomllib.loads(text))


def _read(path: Path) -> Thresholds:
    try:
        return Thresholds.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        because = f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise UsageError(WHAT, because, f"write NAME = [SOFT, HARD] with the names {_names()}") from error
    except (OSError, ValueError) as error:
        raise UsageError(WHAT, f"{path} is no readable TOML file ({error})", "correct the file or its path") from error


def _names() -> str:
    return ", ".join(field.name for field in fields(QualityRules) if field.name != "length_cm")


def _over(own: Limits, other: Limits) -> Limits:
    return other.model_copy(update=own.model_dump(exclude_none=True))


def _joined(own: dict[str, Limits], other: dict[str, Limits]) -> dict[str, Limits]:
    return {name: _over(own.get(name, Limits()), other.get(name, Limits())) for name in {**other, **own}}
