"""A scanner made of physics, dressed in scanner screens, with known truth for every frame."""

from __future__ import annotations

from edge_app.capture.phantom.generate import DatasetPlan, Summary, write_dataset
from edge_app.capture.phantom.plan import Cycle, PhantomPlan, parse_plan
from edge_app.capture.phantom.source import PhantomSource
from edge_app.capture.phantom.truth import PhantomTruth

__all__ = [
    "Cycle",
    "DatasetPlan",
    "PhantomPlan",
    "PhantomSource",
    "PhantomTruth",
    "Summary",
    "parse_plan",
    "write_dataset",
]
