"""Calibration sets: crops of a hospital's own scanner, from pictures, frames with caliper columns or videos."""

from convert.crops.counts import Counts, Share
from convert.crops.crops import Crops
from convert.crops.read import read_crops

__all__ = ["Counts", "Crops", "Share", "read_crops"]
