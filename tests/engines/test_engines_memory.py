"""A small file that asks for all memory is one sentence, and the machine goes on."""

from __future__ import annotations

import re
import resource
import sys
import time

import pytest

from edge_app.bundles.receive import proven
from edge_app.live.model import ModelPlan, open_model
from engines import _onnxruntime_session, memory, runtimes, selftest
from engines.errors import EchoGFRError, InferenceError
from engines.memory import memory_limited

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is a thing of Linux")
BOMBS = [
    ("ConstantOfShape", (1000, 1000, 1000, 1000)),  # 4 TB: more than any machine has
    ("Tile", (1000, 1000, 1000, 1000)),
    ("ConstantOfShape", (1000, 1000, 1000)),  # 4 GB: many machines have it, and would begin to swap
    ("Expand", (1000, 1000, 1000)),
]


@pytest.mark.parametrize(("kind", "shape"), BOMBS)
def test_a_bomb_is_one_sentence_at_import_and_at_the_start(make_bundle, monkeypatch, kind: str, shape) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {"bomb": (kind, shape)}})
    assert sum(path.stat().st_size for path in bundle.path.iterdir()) < 1 << 20
    monkeypatch.setattr(memory, "_allowed_bytes", lambda: 1 << 30)  # as on a machine with 1.25 GiB free
    before, started = resource.getrlimit(resource.RLIMIT_DATA), time.monotonic()
    with pytest.raises(EchoGFRError) as imported:
        proven(bundle)
    with pytest.raises(EchoGFRError) as opened, open_model(ModelPlan(bundle.path)):
        pytest.fail("it was opened")
    for caught in (imported, opened):
        assert len(caught.value.sentence.splitlines()) == 1 and re.search("memory|bytes", caught.value.sentence)
    assert time.monotonic() - started < 10.0
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_graph_that_never_ends_is_one_sentence_and_no_hang(make_bundle, monkeypatch) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {"bomb": ("Loop", ())}})
    monkeypatch.setattr(_onnxruntime_session, "FIRST_RUN_S", 0.5)
    started = time.monotonic()
    with pytest.raises(InferenceError, match=r"its first run did not end within 0\.5 s") as caught:
        proven(bundle)
    assert len(caught.value.sentence.splitlines()) == 1
    assert time.monotonic() - started < 10.0


def test_memory_that_python_is_refused_is_one_sentence_too() -> None:
    with (
        pytest.raises(InferenceError, match="it needs more than the 64 MiB of memory that it may take"),
        memory_limited(64 << 20),
    ):
        bytearray(1 << 30)


def test_a_good_bundle_runs_within_the_limit(bundle) -> None:
    with memory_limited(), runtimes.select(bundle).open() as session:
        assert selftest.run(bundle, session).passed
