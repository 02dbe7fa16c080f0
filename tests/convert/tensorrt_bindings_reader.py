"""Loads one version of the vendor's bindings and prints, as JSON, which names it lacks and what it says of itself.

    python tensorrt_bindings_reader.py < NAMES        with the bindings on PYTHONPATH, libraries on LD_LIBRARY_PATH

The libraries are stand-ins whose functions give nothing, so that hardly more than names can be asked.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.setdlopenflags(os.RTLD_LAZY)  # of the functions that the stand-ins lack, none is called

import tensorrt_bindings  # noqa: E402

from convert.tensorrt_builder import build  # noqa: E402
from convert.tensorrt_library import Library  # noqa: E402
from convert.tensorrt_plan import BATCH, EnginePlan  # noqa: E402
from engines.engine_record import EngineKey, EngineRecipe, EngineTarget  # noqa: E402
from engines.store import EngineError  # noqa: E402


def lacks(owner: str, name: str) -> bool:
    """Tell whether a class, ``ILogger.Severity``, or the module itself, of no name, lacks a name."""
    found: object = tensorrt_bindings
    for part in filter(None, owner.split(".")):
        found = getattr(found, part, None)
    return not hasattr(found, name)


class Silent:
    """A watch that nobody listens to."""

    def report(self, stage: str, done: int, total: int) -> None:
        pass

    def heard(self) -> None:
        pass

    def cancelled(self) -> bool:
        return False


def refusal(library: Library) -> str:
    """Return what a build says where the library gives no builder."""
    key = EngineKey(
        artifact_sha256="0" * 64,
        recipe=EngineRecipe(batch=BATCH, workspace_mib=None, dla_core=None),
        builder=library.builder,
        target=EngineTarget(compute_capabilities=("8.7",), gpu="Orin"),
    )
    plan = EnginePlan(Path("model.onnx"), "fp16", "tensorrt", key)
    try:
        build(library, plan, Path("engine"), Silent())
    except EngineError as error:
        return error.sentence
    return "it built"


if __name__ == "__main__":
    names = [(owner, name) for owner, found in json.load(sys.stdin).items() for name in found]
    library = Library("tensorrt", tensorrt_bindings)
    answer = {
        "version": library.builder.version,
        "missing": sorted(f"{owner}.{name}".lstrip(".") for owner, name in names if lacks(owner, name)),
        "network_flags": library.network_flags,
        "strongly_typed": int(tensorrt_bindings.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
        "weakly_typed_too": hasattr(tensorrt_bindings.BuilderFlag, "FP16"),
        "ahead_of_time": library.ahead_of_time,
        "times": library.times,
        "refusal": refusal(library),
    }
    print(json.dumps(answer))
