"""The process behind ``tensorrt_makers.Workshop``: a job a line on standard input, a message a line on standard output.

Garbage is collected as often as Python can, so that a builder which an older build left behind would be freed inside
NVIDIA's library if anything let that happen.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from convert.tensorrt_builder import build
from convert.tensorrt_library import load_library
from convert.tensorrt_messages import Failed, Finished
from convert.tensorrt_plan import EnginePlan
from engines.errors import EchoGFRError
from engines.store import EngineKey


class Deaf:
    """A watch that nobody listens to."""

    def report(self, stage: str, done: int, total: int) -> None:
        pass

    def heard(self) -> None:
        pass

    def cancelled(self) -> bool:
        return False


def answer(line: str) -> Failed | Finished:
    artifact, precision, key, draft = line.rstrip("\n").split("\t")
    made = EngineKey.model_validate_json(key)
    plan = EnginePlan(Path(artifact), precision, made.builder.runtime, made)  # type: ignore[arg-type]
    try:
        done = build(load_library(plan.runtime), plan, Path(draft), Deaf())
    except EchoGFRError as error:
        kept.append(error)  # with its frames, and in them the builder
        return Failed(what=error.what, because=error.because, cure=error.cure)
    return Finished(sha256=done.sha256, size_bytes=done.size_bytes, layers=done.layers, warnings=done.warnings)


if __name__ == "__main__":
    kept: list[object] = []
    kept.append(kept)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no message
    gc.set_threshold(1)
    for line in sys.stdin:
        message = answer(line)
        if len(kept) > 3:
            kept = []  # a cycle of failed builds with their builders: garbage now
            kept.append(kept)
        print(message.model_dump_json(), file=out, flush=True)
