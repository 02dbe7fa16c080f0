"""Builds an engine with every class of TensorRT for RTX under observation; prints which names were used, as JSON.

    python tensorrt_recorder.py ARTIFACT REFUSED ENGINE       the second is one that the parser refuses

Runs in a process of its own, because it changes the library's classes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from convert.tensorrt_builder import _inspected, build
from convert.tensorrt_library import Library, load_library
from convert.tensorrt_network import parse
from convert.tensorrt_plan import BATCH, EnginePlan
from convert.tensorrt_timing import load_timing, save_timing
from engines.engine_record import EngineKey, EngineRecipe, EngineTarget
from engines.store import EngineError

used: dict[str, set[str]] = defaultdict(set)


class Observed:
    """Stands in a class for one of its attributes and notes each use."""

    def __init__(self, owner: str, name: str, inner: Any) -> None:
        self._owner, self._name, self._inner = owner, name, inner

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        used[self._owner].add(self._name)
        get = getattr(type(self._inner), "__get__", None)
        return self._inner if get is None else get(self._inner, instance, owner)

    def __set__(self, instance: object, value: object) -> None:
        used[self._owner].add(self._name)
        self._inner.__set__(instance, value)


class ObservedModule(ModuleType):
    """The module itself: notes each name that is asked of it."""

    def __init__(self, inner: ModuleType) -> None:
        super().__init__(inner.__name__)
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not name.startswith("__"):
            used[""].add(name)
        return found


class Silent:
    """A watch that nobody listens to."""

    def report(self, stage: str, done: int, total: int) -> None:
        pass

    def heard(self) -> None:
        pass

    def cancelled(self) -> bool:
        return False


def observe(found: type) -> None:
    """Put an observer before each attribute of a class and of the classes in it."""
    for name, inner in list(vars(found).items()):
        if isinstance(inner, type):
            observe(inner)
        elif not name.startswith("__") and type(inner).__name__ != "pybind11_static_property":
            setattr(found, name, Observed(found.__qualname__, name, inner))


def overridden(found: type) -> set[str]:
    """Return the names that the converter's own subclasses override."""
    ours = [below for below in found.__subclasses__() if below.__module__.startswith("convert.")]
    return {name for below in ours for name in vars(below) if not name.startswith("__")}


def main(artifact: Path, refused: Path, engine: Path) -> None:
    real = load_library("tensorrt-rtx")
    bases = [found for found in vars(real.module).values() if isinstance(found, type)]
    for found in bases:
        observe(found)
    library = Library("tensorrt-rtx", ObservedModule(real.module))
    logger = library.module.Logger()
    key = EngineKey(
        artifact_sha256=hashlib.sha256(artifact.read_bytes()).hexdigest(),
        recipe=EngineRecipe(batch=BATCH, workspace_mib=256, dla_core=None),
        builder=real.builder,
        target=EngineTarget(compute_capabilities=("8.6",)),
    )
    build(library, EnginePlan(artifact, "int8", "tensorrt-rtx", key), engine, Silent())
    with suppress(EngineError):
        network = library.module.Builder(logger).create_network(library.network_flags)
        parse(library.module.OnnxParser(network, logger), network, refused.read_bytes(), "No engine")
    config = library.module.Builder(logger).create_builder_config()
    load_timing(config, engine.with_name("timing"))  # TensorRT alone keeps these; the interface is the same
    save_timing(config, engine.with_name("timing"))
    _inspected(library, logger, memoryview(engine.read_bytes()))  # there is no GPU to load it
    for found in bases:
        used[found.__qualname__] |= overridden(found)
    print(json.dumps({owner: sorted(names) for owner, names in used.items() if names}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
