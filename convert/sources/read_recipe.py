"""Reads a recipe; whatever is wrong with it is one sentence that names the line or the fields."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from convert.sources.recipe import Recipe
from engines.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 1 << 20  # bytes
SHOWN = 6  # mistakes in one sentence; the rest is counted
WORDS = {"extra_forbidden": "there is no such field", "missing": "this field is missing"}  # instead of pydantic's
CURE = "see echogfr-convert model --example torchvision, repvgg or onnx"


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    UsageError
        It cannot be read, is no TOML, or fields are missing, unknown or wrong; all in one sentence.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise _refused(path, "it is larger than any recipe", "name the TOML file, not the weights")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise _refused(path, (error.strerror or "it cannot be opened").lower(), "check the path") from error
    except UnicodeDecodeError as error:
        raise _refused(path, "it is no text in UTF-8", "name the TOML file, not the weights") from error
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, f"it is no valid TOML: {str(error)[:160]}", CURE) from error
    except ValidationError as error:
        raise _refused(path, _mistakes(error), CURE) from error
    except (RecursionError, ValueError) as error:  # what tomllib lets through
        raise _refused(path, "it nests deeper or has longer numbers than any recipe", CURE) from error


def _mistakes(error: ValidationError) -> str:
    items = error.errors(include_url=False)
    deep = any(item["loc"][:1] == ("heads",) and len(item["loc"]) > 1 for item in items)
    found = [  # heads of which each is wrong are no lack of heads, though pydantic counts none then
        f"{_place(item['loc'])}{WORDS.get(item['type'], _said(item['msg']))}"
        for item in items
        if not (deep and item["loc"] == ("heads",))
    ]
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _place(location: Sequence[int | str]) -> str:
    """``("heads", 0, "probability", "event")`` as ``heads[0].event``: kinds of heads are no fields."""
    text = ""
    for at, step in enumerate(location):
        if isinstance(step, int):
            text += f"[{step}]"
        elif not (at == 2 and location[0] == "heads"):
            text += f".{step}" if text else step
    return f"{text}: " if text else ""


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


def _refused(path: Path, because: str, cure: str) -> UsageError:
    return UsageError(f"The recipe {path} cannot be used", because, cure)
