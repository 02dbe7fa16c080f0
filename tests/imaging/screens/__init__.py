"""Composes test screens as many scanners show them, for judging what finds the markers; knows nothing of finders."""

from .compose import BACKGROUNDS, EMPTY, Pair, Recipe, Screen, compose, recipe
from .damage import DAMAGES
from .decoys import DECOYS
from .donors import real_available
from .folder import write_folder
from .marks import LOOK_NAMES

__all__ = [
    "BACKGROUNDS",
    "DAMAGES",
    "DECOYS",
    "EMPTY",
    "LOOK_NAMES",
    "Pair",
    "Recipe",
    "Screen",
    "compose",
    "real_available",
    "recipe",
    "write_folder",
]
