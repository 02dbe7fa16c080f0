"""Commented recipes to start from, one a family; each can be read as it is."""

from __future__ import annotations

from importlib import resources

from engines.errors import UsageError

FAMILIES = ("torchvision", "repvgg", "onnx")


def example(family: str) -> str:
    """Return the recipe of a family as TOML.

    Raises
    ------
    UsageError
        There is no such family.
    """
    if family not in FAMILIES:
        because = f"'{family}' is no family of models"
        raise UsageError("There is no such example", because, f"choose from {', '.join(FAMILIES)}")
    return resources.files("convert.sources").joinpath(f"examples/{family}.toml").read_text(encoding="utf-8")
