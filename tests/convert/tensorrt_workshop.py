"""The process behind ``tensorrt_makers.Workshop``: a job a line on standard input, a message a line on standard output.

Wherever a collection of garbage could begin inside NVIDIA's logger, it does: there it would free the builders that
failed builds left behind, and never return.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from convert.tensorrt_builder import CancelledError, build
from convert.tensorrt_library import load_library
from convert.tensorrt_messages import Failed, Finished
from convert.tensorrt_plan import EnginePlan
from engines.engine_record import EngineKey
from engines.errors import EchoGFRError


class Until:
    """A watch that ends the build at a stage, if one is named."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._over = False

    def report(self, stage: str, done: int, total: int) -> None:
        self._over = self._over or stage == self._stage

    def heard(self) -> None:
        if gc.isenabled():
            gc.collect()

    def cancelled(self) -> bool:
        return self._over


def answer(line: str) -> Failed | Finished:
    artifact, precision, key, draft, until = line.rstrip("\n").split("\t")
    made = EngineKey.model_validate_json(key)
    plan = EnginePlan(Path(artifact), precision, made.builder.runtime, made)  # type: ignore[arg-type]
    try:
        done = build(load_library(plan.runtime), plan, Path(draft), Until(until))
    except CancelledError as error:
        kept.append(error)
        return Failed(what="cancelled", because="", cure="")
    except EchoGFRError as error:
        kept.append(error)  # with its frames, and in them the builder
        return Failed(what=error.what, because=error.because, cure=error.cure)
    return Finished(sha256=done.sha256, size_bytes=done.size_bytes, layers=done.layers, warnings=done.warnings)


if __name__ == "__main__":
    kept: list[object] = []
    kept.append(kept)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no message
    for line in sys.stdin:
        message = answer(line)
        if len(kept) > 3:
            kept = []  # a cycle of failed builds with their builders: garbage now
            kept.append(kept)
        print(message.model_dump_json(), file=out, flush=True)
