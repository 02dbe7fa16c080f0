"""Bundles of this room; what is in them is in ``bundle_makers``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.bundle import Bundle, open_bundle

from .bundle_makers import BundlePlan, GraphPlan, Outputs, egfr_answer, speckle_crops, write_bundle


@pytest.fixture
def expected() -> Callable[[NDArray[np.uint8]], Outputs]:
    return egfr_answer


@pytest.fixture
def make_crops() -> Callable[..., NDArray[np.uint8]]:
    return speckle_crops


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", BundlePlan())


@pytest.fixture
def bundle(bundle_path: Path) -> Bundle:
    return open_bundle(bundle_path)


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """``make_bundle(graphs={("fp32", "any"): {"gain": 9.0}}, changes={...}, parity=(("int8", "cpu", True),))``.

    Also ``model="grades"`` or ``"probability"``, and ``apart=(("fp32", "any"),)`` for members in separate artifacts.
    """
    made: list[Path] = []

    def make(graphs: dict[tuple[str, str], dict[str, Any]] | None = None, **fields: Any) -> Bundle:
        plans = {key: GraphPlan(**plan) for key, plan in (graphs or {("fp32", "any"): {}}).items()}
        made.append(write_bundle(tmp_path / f"bundle-{len(made)}", BundlePlan(graphs=plans, **fields)))
        return open_bundle(made[-1])

    return make
