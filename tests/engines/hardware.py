"""Sessions on a real GPU, where there is one: engines are built by the real library, into a store of the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engines._onnxruntime_session import OnnxSession
from engines._tensorrt_session import TensorRtSession
from engines.bundle import Bundle
from engines.libraries import RuntimeName
from engines.providers import CUDA, TENSORRT
from engines.runtimes import rows
from engines.session import Session
from engines.store import STORE_VARIABLE, EngineStore

PROVIDERS = {provider.runtime: provider for provider in (CUDA, TENSORRT)}


def skip_where_unusable(runtime: str) -> None:
    """Skip, with what the runtime says of itself."""
    found = next(row for row in rows() if row.name == runtime).probe()
    if not found.usable:
        pytest.skip(f"no GPU to prove it on: {found.detail}")


def on_hardware(runtime: str, folder: Path, patch: pytest.MonkeyPatch) -> Callable[[Bundle], Session]:
    """Return what opens a session at fp32; skip where the runtime is not usable."""
    skip_where_unusable(runtime)
    patch.setenv(STORE_VARIABLE, str(folder / "engines"))
    if runtime in PROVIDERS:
        provider = PROVIDERS[runtime]
        return lambda bundle: OnnxSession(bundle, bundle.artifacts("fp32", "tensorrt"), provider=provider)
    return lambda bundle: _open_built("tensorrt" if runtime == "tensorrt" else "tensorrt-rtx", folder, bundle)


def _open_built(runtime: RuntimeName, folder: Path, bundle: Bundle) -> Session:
    from convert.tensorrt_engine import build_engines
    from convert.tensorrt_library import load_library
    from convert.tensorrt_plan import Wish, make_plans

    plans = make_plans(bundle, load_library(runtime), Wish("fp32"))
    build_engines(bundle, plans, EngineStore(folder / "engines"), lambda *_: None)
    return TensorRtSession(runtime, bundle, bundle.artifacts("fp32", "tensorrt"))
