"""From a bundle to engines in the store, each with its record; a failure leaves the store as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import convert.tensorrt_engine
from convert.progress import silent
from convert.tensorrt_engine import build_engine, build_engines
from convert.tensorrt_library import Library
from convert.tensorrt_plan import Wish, make_plans
from engines.bundle import Bundle, open_bundle
from engines.errors import UsageError
from engines.store import EngineError, EngineStore
from tests.engines.bundle_makers import rewrite

from .tensorrt_makers import write_kind_bundle, write_members

Artifacts = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def fused(artifact_of: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose members are in one artifact."""
    files = {
        ("int8", "tensorrt"): [artifact_of("residual", "int8")],
        ("fp32", "any"): [artifact_of("residual", "fp32")],
    }
    return open_bundle(write_kind_bundle(tmp_path_factory.mktemp("fused") / "b", files))


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose three members are separate artifacts."""
    folder = tmp_path_factory.mktemp("apart")
    return open_bundle(write_kind_bundle(folder / "b", {("fp16", "any"): write_members(folder)}))


def test_an_engine_goes_into_the_store_with_its_record(rtx: Library, fused: Bundle, tmp_path: Path) -> None:
    ((plan, artifact),) = make_plans(fused, rtx, Wish("int8", ("8.9", "8.6")))
    store, stages = EngineStore(tmp_path / "s"), set[str]()
    record = build_engine(fused, artifact, plan, store, lambda stage, done, total: stages.add(stage))
    found = store.find(plan.key)
    assert found is not None
    assert (found.state, found.record) == ("good", record)
    assert {"Parsing", "Building engine"} <= stages
    assert record.key.target.compute_capabilities == ("8.6", "8.9")
    assert "reported once for 8.6, 8.9" in record.warnings[0]
    assert record.key.artifact_sha256 == artifact.sha256
    assert record.layers.compiled == {"Int8": 12, "Half": 2, "Float": 2}
    assert sorted(path.name for path in store.folder.iterdir()) == sorted((record.engine, f"{plan.key.name}.json"))


def test_a_failure_leaves_the_store_as_it_was(rtx: Library, fused: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "s")
    ((plan, artifact),) = make_plans(fused, rtx, Wish("fp32", ("8.6",)))
    record = build_engine(fused, artifact, plan, store, silent)

    def kill(stage: str, done: int, total: int) -> None:
        for child in psutil.Process().children():
            if stage == "Building engine" and "spawn_main" in " ".join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(EngineError, match="was ended by SIGKILL"):
        build_engine(fused, artifact, plan, store, kill)
    assert [(entry.state, entry.record) for entry in store.entries()] == [("good", record)]
    assert len(list(store.folder.iterdir())) == 2


def test_without_memory_nothing_is_begun(
    rtx: Library, fused: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 500000 kB\n")
    monkeypatch.setattr(convert.tensorrt_engine, "_MEMINFO", meminfo)
    ((plan, artifact),) = make_plans(fused, rtx, Wish("fp32", ("8.6",)))
    with pytest.raises(EngineError, match="only 390 MiB of memory can be had and a builder needs 512"):
        build_engine(fused, artifact, plan, EngineStore(tmp_path / "s"), silent)
    assert list((tmp_path / "s").iterdir()) == []


def test_every_member_that_was_left_separate_becomes_an_engine(rtx: Library, apart: Bundle, tmp_path: Path) -> None:
    plans = make_plans(apart, rtx, Wish("fp16", ("8.6",)))
    store, told = EngineStore(tmp_path / "s"), list[tuple[int, int]]()

    def report(stage: str, done: int, total: int) -> None:
        if stage == "Members":
            told.append((done, total))

    made = build_engines(apart, plans, store, report)
    assert told == [(0, 3), (1, 3), (2, 3)]
    assert [(each.record.artifact, each.kept) for each in made] == [(f"fp16-{n}.onnx", False) for n in range(3)]
    assert all(each.record.layers.compiled == {"Half": 7, "Float": 1} for each in made)
    assert len({each.record.key.name for each in made}) == len(store.entries()) == 3
    again = build_engines(apart, plans, store, silent)
    assert [each.record for each in again] == [each.record for each in made]
    assert all(each.kept for each in again)


def test_a_cancel_loses_the_member_in_hand_and_the_next_build_goes_on(
    rtx: Library, apart: Bundle, tmp_path: Path
) -> None:
    plans, store, member = make_plans(apart, rtx, Wish("fp16", ("8.6",))), EngineStore(tmp_path / "s"), [0]

    def cancel(stage: str, done: int, total: int) -> None:
        member[0] = done if stage == "Members" else member[0]
        if member[0] == 1 and stage == "Building engine":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engines(apart, plans, store, cancel)
    assert [entry.state for entry in store.entries()] == ["good"]
    assert len(list(store.folder.iterdir())) == 2
    assert [each.kept for each in build_engines(apart, plans, store, silent)] == [True, False, False]


def test_an_engine_that_was_damaged_is_built_anew_and_a_good_one_when_asked(
    rtx: Library, fused: Bundle, tmp_path: Path
) -> None:
    plans, store = make_plans(fused, rtx, Wish("fp32", ("8.6",))), EngineStore(tmp_path / "s")
    (first,) = build_engines(fused, plans, store, silent)
    (store.folder / first.record.engine).write_bytes(b"torn")
    (second,) = build_engines(fused, plans, store, silent)
    (third,) = build_engines(fused, plans, store, silent, again=True)
    assert [first.kept, second.kept, third.kept] == [False, False, False]
    assert third.record.created > second.record.created
    # The one before is kept, unless it is the same to the last byte.
    assert [entry.state for entry in store.entries()] in (["good"], ["good", "good"])


@pytest.mark.parametrize(("change", "told"), [({"passed": False}, "failed"), (None, "was never measured")])
def test_members_without_a_passed_parity_are_not_built(
    rtx: Library, apart: Bundle, tmp_path: Path, change: dict[str, bool] | None, told: str
) -> None:
    rows = [row.model_dump(mode="json") for row in apart.manifest.parity if row.precision == "fp16"]
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in apart.path.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    rewrite(copy, parity=[{**row, **change} for row in rows] if change else [])
    with pytest.raises(UsageError, match=f"fp16-0.onnx, because its parity with fp32 {told}"):
        make_plans(open_bundle(copy), rtx, Wish("fp16", ("8.6",)))
