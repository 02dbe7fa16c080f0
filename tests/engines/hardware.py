"""Sessions on a real GPU, where there is one: engines are built by the real library, into a store of the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engines._tensorrt_session import TensorRtSession
from engines.bundle import Bundle
from engines.runtimes import available
from engines.session import Session
from engines.store import STORE_VARIABLE, EngineStore, RuntimeName


def on_hardware(runtime: RuntimeName, folder: Path, patch: pytest.MonkeyPatch) -> Callable[[Bundle], Session]:
    """Return what opens a session at fp32; skip where the runtime is not usable."""
    found = dict(available())[runtime]
    if not found.usable:
        pytest.skip(f"no GPU to prove it on: {found.detail}")
    patch.setenv(STORE_VARIABLE, str(folder / "engines"))

    def open_session(bundle: Bundle) -> Session:
        from convert.tensorrt_engine import build_engines
        from convert.tensorrt_library import load_library
        from convert.tensorrt_plan import Wish, make_plans

        plans = make_plans(bundle, load_library(runtime), Wish("fp32"))
        build_engines(bundle, plans, EngineStore(folder / "engines"), lambda *_: None)
        return TensorRtSession(runtime, bundle, bundle.artifacts("fp32", "tensorrt"))

    return open_session
