"""The engine store: what is in it is what was built, whatever happened to it in between."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.gpu import Gpu
from engines.store import (
    EngineBuilder,
    EngineError,
    EngineKey,
    EngineRecipe,
    EngineRecord,
    EngineStore,
    EngineTarget,
    Here,
    store_folder,
)

from .engine_makers import record_of as make_record

ORIN = Gpu("Orin", "8.7", 8, "540.4.0, CUDA 12.6")
RECIPE = EngineRecipe(batch=(1, 4, 16), workspace_mib=None, dla_core=None)
BUILDER = EngineBuilder(runtime="tensorrt", version="10.3.0")
KEY = EngineKey(artifact_sha256="a" * 64, recipe=RECIPE, builder=BUILDER, target=EngineTarget.of(ORIN))
HERE = Here(ORIN, {"tensorrt": "10.3.0"})


def record_of(data: bytes, key: EngineKey = KEY) -> EngineRecord:
    return make_record(data, key)


def put(store: EngineStore, data: bytes = b"engine one", key: EngineKey = KEY) -> Path:
    draft = store.draft()
    draft.write_bytes(data)
    return store.put(draft, record_of(data, key))


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    made = EngineStore(tmp_path / "engines")
    made.prepare()
    return made


def states(store: EngineStore, here: Here | None = HERE) -> list[str]:
    return [entry.state for entry in store.entries(here)]


def test_an_engine_is_found_again_by_all_that_it_depends_on(store: EngineStore) -> None:
    engine = put(store)
    found = store.find(KEY)
    assert found is not None
    assert (found.state, found.record) == ("good", record_of(b"engine one"))
    assert engine.read_bytes() == b"engine one"
    assert states(store) == ["good"]


@pytest.mark.parametrize(
    "change",
    [
        {"artifact_sha256": "c" * 64},
        {"recipe": RECIPE.model_copy(update={"workspace_mib": 256})},
        {"recipe": RECIPE.model_copy(update={"dla_core": 0})},
        {"builder": EngineBuilder(runtime="tensorrt", version="10.16.1")},
        {"builder": EngineBuilder(runtime="tensorrt-rtx", version="10.3.0")},
        {"target": EngineTarget.of(replace(ORIN, name="Orin Nano"))},
        {"target": EngineTarget.of(replace(ORIN, multiprocessors=4))},
        {"target": EngineTarget.of(replace(ORIN, driver="541, CUDA 12.6"))},
        {"target": EngineTarget(compute_capabilities=("8.7",))},
        {"target": EngineTarget.of(ORIN).model_copy(update={"machine": "other"})},
    ],
)
def test_whatever_an_engine_depends_on_makes_another_key(store: EngineStore, change: dict[str, object]) -> None:
    put(store)
    assert store.find(KEY.model_copy(update=change)) is None


def test_the_engines_of_members_that_were_left_apart_lie_side_by_side(store: EngineStore) -> None:
    keys = [KEY.model_copy(update={"artifact_sha256": digit * 64}) for digit in "abc"]
    paths = [put(store, f"member {at}".encode(), key) for at, key in enumerate(keys)]
    assert [path.read_bytes() for path in paths] == [b"member 0", b"member 1", b"member 2"]
    assert states(store) == ["good", "good", "good"]


def test_a_rebuild_replaces_the_engine_and_its_record(store: EngineStore) -> None:
    old, new = put(store), put(store, b"engine two")
    assert not old.exists()
    assert new.read_bytes() == b"engine two"
    assert states(store) == ["good"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.write_bytes(b"engine 0ne"), "was changed"),
        (lambda path: path.write_bytes(b"engine"), "has 6 bytes instead of 10"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_a_damaged_engine_is_corrupt_and_pruned(store: EngineStore, change, told: str) -> None:
    change(put(store))
    found = store.find(KEY)
    assert found is not None
    assert found.state == "corrupt"
    assert told in found.reason
    assert [entry.state for entry in store.prune(HERE)] == ["corrupt"]
    assert list(store.folder.iterdir()) == []


@given(data=st.binary(max_size=300))
def test_no_bytes_in_a_record_s_place_are_taken_for_an_engine(tmp_path_factory, data: bytes) -> None:
    store = EngineStore(tmp_path_factory.mktemp("store"))
    put(store)
    (store.folder / f"{KEY.name}.json").write_bytes(data)
    found = store.find(KEY)
    assert found is not None
    assert found.state == "corrupt"
    assert len(found.reason.splitlines()) == 1


def test_a_record_of_another_key_is_not_believed(store: EngineStore) -> None:
    put(store)
    other = KEY.model_copy(update={"artifact_sha256": "d" * 64})
    os.rename(store.folder / f"{KEY.name}.json", store.folder / f"{other.name}.json")
    found = store.find(other)
    assert found is not None
    assert (found.state, "belongs to another" in found.reason) == ("corrupt", True)


@pytest.mark.parametrize(
    ("here", "state"),
    [
        (HERE, "good"),
        (Here(ORIN, {}), "good"),
        (Here(None, {"tensorrt": "10.3.0"}), "good"),
        (Here(ORIN, {"tensorrt": "10.16.1"}), "stale"),
        (Here(replace(ORIN, driver="541, CUDA 12.6"), {}), "stale"),
        (Here(replace(ORIN, name="Thor", compute_capability="11.0"), {}), "stale"),
    ],
)
def test_an_engine_is_stale_where_the_library_or_the_gpu_is_another(store: EngineStore, here: Here, state: str) -> None:
    put(store)
    assert states(store, here) == [state]
    assert [entry.state for entry in store.prune(here)] == ([state] if state == "stale" else [])


def test_an_engine_built_ahead_of_time_is_not_stale_on_a_machine_with_another_gpu(store: EngineStore) -> None:
    put(store, key=KEY.model_copy(update={"target": EngineTarget(compute_capabilities=("8.9",))}))
    assert states(store) == ["good"]


def test_files_of_others_are_named_and_left_alone(store: EngineStore) -> None:
    (store.folder / "notes.txt").write_text("mine")
    (store.folder / "other.json").write_text("{}")
    (store.folder / "folder").mkdir()
    put(store)
    assert sorted(states(store)) == ["foreign", "foreign", "foreign", "good"]
    store.prune(HERE, everything=True)
    assert sorted(path.name for path in store.folder.iterdir()) == ["folder", "notes.txt", "other.json"]


def test_a_link_is_not_taken_for_an_engine(store: EngineStore, tmp_path: Path) -> None:
    engine = put(store)
    engine.rename(tmp_path / "elsewhere")
    engine.symlink_to(tmp_path / "elsewhere")
    assert states(store) == ["corrupt"]


def test_drafts_of_dead_builds_are_pruned_and_those_of_living_ones_are_not(store: EngineStore) -> None:
    mine = store.draft()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = store.folder / f".draft-{dead.pid}-x"
    left.write_bytes(b"half an engine")
    assert [entry.name for entry in store.entries()] == [left.name]
    store.prune()
    assert (mine.exists(), left.exists()) == (True, False)


def test_a_draft_that_is_not_what_its_record_says_is_refused(store: EngineStore) -> None:
    put(store)
    draft = store.draft()
    draft.write_bytes(b"torn")
    with pytest.raises(EngineError, match="has 4 bytes instead of 10"):
        store.put(draft, record_of(b"engine two"))
    draft.unlink()
    assert states(store) == ["good"]


def test_a_kill_between_engine_and_record_leaves_the_old_engine_valid(store: EngineStore) -> None:
    """The engine of a rebuild is there, its record is not yet: what was valid stays valid."""
    put(store)
    second = record_of(b"engine two")
    (store.folder / second.engine).write_bytes(b"engine two")
    found = store.find(KEY)
    assert found is not None
    assert (found.state, found.record) == ("good", record_of(b"engine one"))


def test_the_folder_is_the_named_one_or_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECHOGFR_ENGINES", str(tmp_path / "mine"))
    assert store_folder() == tmp_path / "mine"
    monkeypatch.delenv("ECHOGFR_ENGINES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_folder() == tmp_path / "echogfr" / "engines"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="choose another folder"):
        EngineStore(tmp_path / "file" / "engines").prepare()


def test_an_empty_store_needs_no_folder(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "none")
    assert (store.entries(), store.prune(), store.find(KEY)) == ([], [], None)


def test_an_engine_that_failed_stays_and_is_told_until_it_is_built_again(store: EngineStore) -> None:
    put(store)
    store.reject(record_of(b"engine one"), "egfr differs by 9")
    (entry,) = store.entries(HERE)
    assert (entry.state, entry.reason) == ("failed", "it failed its self-test: egfr differs by 9")
    assert (store.folder / record_of(b"engine one").engine).read_bytes() == b"engine one"
    put(store)
    assert states(store) == ["good"]
    store.reject(record_of(b"engine one"), "egfr differs by 9")
    assert [entry.state for entry in store.prune(HERE)] == ["failed"]
    assert states(store) == []


def test_engines_of_one_artifact_come_newest_first_and_others_never(store: EngineStore) -> None:
    other = KEY.model_copy(update={"artifact_sha256": "c" * 64})
    slow = KEY.model_copy(update={"recipe": RECIPE.model_copy(update={"workspace_mib": 16})})
    put(store, b"of another", other)
    put(store, b"older", slow)
    draft = store.draft()
    draft.write_bytes(b"newer")
    later = record_of(b"newer").model_copy(update={"created": datetime(2026, 11, 23, tzinfo=timezone.utc)})
    store.put(draft, later)
    assert [e.record and e.record.sha256 for e in store.of("a" * 64, HERE)] == [
        later.sha256,
        record_of(b"older", slow).sha256,
    ]
    assert store.read(later) == b"newer"
    (store.folder / later.engine).write_bytes(b"other")
    with pytest.raises(EngineError, match=r"was changed \(its SHA-256 differs\): build it again"):
        store.read(later)


def test_a_file_in_the_place_of_a_store_is_no_empty_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a store")
    with pytest.raises(EngineError, match="is no folder: name another with --out"):
        EngineStore(tmp_path / "file").entries()
