"""The engine store: what is in it is what was built, whatever happened to it in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.engine_record import EngineBuilder, EngineKey, EngineRecipe, EngineRecord, EngineTarget
from engines.gpu import Gpu
from engines.store import EngineError, EngineStore, Here, store_folder

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


def current(store: EngineStore) -> str:
    """What the store says of the current engine: its state, and the bytes if they are good."""
    found = store.find(KEY)
    assert found is not None
    return store.read(found.record).decode() if found.state == "good" and found.record else found.state


def test_a_rebuild_keeps_the_good_engine_before_it_and_no_older_one(store: EngineStore) -> None:
    first, second, third = put(store), put(store, b"engine two"), put(store, b"engine three")
    assert [path.exists() for path in (first, second, third)] == [False, True, True]
    assert [(entry.name, entry.previous, entry.state) for entry in store.entries(HERE)] == [
        (KEY.name, False, "good"),
        (KEY.name, True, "good"),
    ]
    assert current(store) == "engine three"
    assert store.prune(HERE) == []
    assert len(store.prune(HERE, everything=True)) == 2
    assert list(store.folder.iterdir()) == []


def test_the_same_engine_built_again_is_no_previous_one(store: EngineStore) -> None:
    put(store)
    put(store)
    assert states(store) == ["good"]
    with pytest.raises(EngineError, match="none was kept before it"):
        store.rollback(KEY.name)


def test_a_rollback_goes_back_and_again_forward(store: EngineStore) -> None:
    put(store)
    put(store, b"engine two")
    assert store.rollback(KEY.name[:6]).sha256 == record_of(b"engine one").sha256
    assert current(store) == "engine one"
    assert [e.record and e.record.engine for e in store.of("a" * 64, HERE)] == [
        record_of(b"engine one").engine,  # the current one first, though it is older
        record_of(b"engine two").engine,
    ]
    store.rollback(KEY.name)
    assert current(store) == "engine two"
    with pytest.raises(EngineError, match="0 engines here have a name that begins so: see echogfr-convert engines"):
        store.rollback("none")


def test_one_that_failed_is_never_kept_in_place_of_the_good_one(store: EngineStore) -> None:
    put(store)
    put(store, b"engine two")
    store.reject(record_of(b"engine two"), "egfr differs by 9")
    put(store, b"engine three")
    store.reject(record_of(b"engine three"), "egfr differs by 8")
    store.rollback(KEY.name)
    assert current(store) == "engine one"
    assert states(store) == ["good"]  # the failed one was dropped
    assert sorted(path.name for path in store.folder.iterdir()) == sorted(
        [f"{KEY.name}.json", record_of(b"engine one").engine]
    )


@pytest.mark.parametrize("spoil", ["failed", "changed", "record"])
def test_pruning_an_engine_that_is_not_good_brings_the_one_before_it_back(store: EngineStore, spoil: str) -> None:
    put(store)
    new = put(store, b"engine two")
    if spoil == "failed":
        store.reject(record_of(b"engine two"), "egfr differs by 9")
    elif spoil == "changed":
        new.write_bytes(b"engine 2")
    else:
        (store.folder / f"{KEY.name}.json").write_text("{}")
    assert [(entry.state, entry.previous) for entry in store.entries(HERE)] == [
        ("failed" if spoil == "failed" else "corrupt", False),
        ("good", True),
    ]
    assert len(store.prune(HERE)) == 1
    assert current(store) == "engine one"
    assert len(list(store.folder.iterdir())) == 2


def test_a_previous_engine_that_was_damaged_is_no_way_back(store: EngineStore) -> None:
    put(store).chmod(0o644)
    put(store, b"engine two")
    (store.folder / record_of(b"engine one").engine).write_bytes(b"engine 1")
    with pytest.raises(EngineError, match=r"There is no way back .* has 8 bytes instead of 10"):
        store.rollback(KEY.name)
    assert [entry.state for entry in store.prune(HERE)] == ["corrupt"]
    assert current(store) == "engine two"


class Killed(BaseException):
    """In place of a kill: from here on nothing is done any more."""


def killed_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """End at the ``step``-th change of the folder, and at every one after it."""
    left = [step]

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def counting(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return change(*arguments, **options)

        return counting

    patch.setattr(os, "replace", counted(os.replace))
    patch.setattr(Path, "unlink", counted(Path.unlink))


@pytest.mark.parametrize("work", ["build", "rollback", "prune"])
def test_a_kill_at_any_step_leaves_a_good_current_engine(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    def prune() -> None:
        store.reject(record_of(b"engine two"), "egfr differs by 9")
        store.prune(HERE)

    works = {"build": lambda: put(store, b"engine three"), "rollback": lambda: store.rollback(KEY.name), "prune": prune}
    for step in range(20):
        put(store)
        put(store, b"engine two")
        done = True
        with monkeypatch.context() as patch:
            killed_at(patch, step)
            try:
                works[work]()
            except Killed:
                done = False
        best = [entry for entry in store.of("a" * 64, HERE) if entry.state == "good"]
        assert best and best[0].record is not None and store.read(best[0].record), step
        if work != "prune":
            assert current(store) in ("engine one", "engine two", "engine three")
        if done:
            break
        put(store, b"engine four")  # whatever was left, the next build does its work
        assert current(store) == "engine four"
        for path in store.folder.iterdir():
            path.unlink()
    assert done and step > 2


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
