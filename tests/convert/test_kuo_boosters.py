"""Boosters of xgboost 0.72 are read to the last bit, and a pickle can do nothing but be a booster."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.checkpoint import DefectError
from convert.graph.parts import Trees
from convert.kuo.boosters import feature_indices, flipped, load_trees
from convert.kuo.old_booster import LEARNER, REAL, parse
from convert.kuo.quarantine import unpickle_booster

DATA = Path(__file__).parent / "data"
PICKLE = DATA / "xgb_072.pickle.dat"


@pytest.fixture(scope="module")
def raw() -> bytes:
    return unpickle_booster(PICKLE).data


def walk(trees: Trees, rows: np.ndarray) -> np.ndarray:
    """Probability by walking the perfect trees, rows (K, F)."""
    margin = np.full(len(rows), trees.base_margin)
    for tree in range(len(trees.features)):
        node = np.zeros(len(rows), int)
        for _ in range(trees.depth):
            left = rows[np.arange(len(rows)), trees.features[tree, node]] < trees.thresholds[tree, node]
            node = 2 * node + np.where(left, 1, 2)
        margin += trees.values[tree, node - (2**trees.depth - 1)]
    return 1 / (1 + np.exp(-margin))


def full_rows() -> tuple[np.ndarray, np.ndarray]:
    kept = np.load(DATA / "xgb_072.npz", allow_pickle=False)
    rows = np.zeros((len(kept["rows"]), 2048), np.float32)
    rows[:, kept["columns"]] = kept["rows"]
    return rows, kept["probability"]


def test_a_real_pickle_of_xgboost_072_answers_what_072_answered() -> None:
    rows, expected = full_rows()
    assert expected.std() > 0.3
    assert np.abs(walk(load_trees(PICKLE, 2048), rows) - expected).max() < 1e-6


def test_its_base_score_and_its_selected_features_are_kept() -> None:
    found = unpickle_booster(PICKLE)
    assert found.names is not None and len(found.names) == 12 and all(name.isdigit() for name in found.names)
    assert parse(found.data).base_margin == pytest.approx(np.log(0.3 / 0.7), abs=1e-6)
    chosen = {int(name) for name in found.names}
    assert set(load_trees(PICKLE, 2048).features.ravel().tolist()) <= chosen | {int(found.names[0])}


def test_flipped_trees_answer_one_minus_p() -> None:
    rows, expected = full_rows()
    assert np.abs(walk(flipped(load_trees(PICKLE, 2048)), rows) - (1 - expected)).max() < 1e-6


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_files_that_xgboost_saves_today_are_read(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(1)
    rows = random.random((300, 5), dtype=np.float32)
    names = ["7", "300", "2047", "0", "12"]
    data = xgboost.DMatrix(rows, rows[:, 0] > rows[:, 1], feature_names=names)
    model = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, 5)
    model.save_model(tmp_path / f"xgb_0{suffix}")
    wide = np.zeros((300, 2048), np.float32)
    wide[:, [int(name) for name in names]] = rows
    assert np.abs(walk(load_trees(tmp_path / f"xgb_0{suffix}", 2048), wide) - model.predict(data)).max() < 1e-5


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (None, 12, "without names"),
        ([f"f{i}" for i in range(12)], 12, "without names"),  # xgboost's own names: which 12 of 2048 is lost
        (["1", "2048"], 2, "reads feature 2048"),
        (["1", "1"], 2, "1 of them different"),
        (["1", "age"], 2, "'age'"),
        (["1", "²"], 2, "no pooled feature"),
        (["1"], 2, "names 1 columns for 2"),
    ],
)
def test_columns_that_are_no_pooled_features_are_refused(names, columns: int, message: str) -> None:
    with pytest.raises(DefectError, match=message):
        feature_indices(names, columns, 2048)


def test_columns_are_taken_by_name_and_not_by_place() -> None:
    assert feature_indices(["5", "f3", "2047"], 3, 2048) == [5, 3, 2047]
    assert feature_indices(None, 4, 4) == [0, 1, 2, 3]


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Booster:
    """Pickles under the name of the real one."""

    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


def pickled(thing: object, protocol: int = 3) -> bytes:
    data = pickle.dumps(thing, protocol=protocol)
    return data.replace(f"c{Booster.__module__}\nBooster".encode(), b"cxgboost.core\nBooster")


def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "xgb_0.pickle.dat"
    path.write_bytes(pickled(Booster(handle=bytearray(b"x"), feature_names=Evil(mark))))
    with pytest.raises(DefectError, match=r"asks for \w+\.system"):
        unpickle_booster(path)
    assert not mark.exists()


def test_a_pickle_that_asks_for_all_memory_ends_in_its_own_process(tmp_path: Path) -> None:
    path = tmp_path / "xgb_0.pickle.dat"
    path.write_bytes(b"\x80\x03cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R.")  # bytearray(2**36)
    with pytest.raises(DefectError, match="more memory"):
        unpickle_booster(path)


def test_a_pickle_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "xgb_0.pickle.dat"
    path.write_bytes(PICKLE.read_bytes())
    monkeypatch.setattr("convert.kuo.quarantine.TIMEOUT_S", 0.001)
    with pytest.raises(DefectError, match="took more than"):
        unpickle_booster(path)


@pytest.mark.parametrize(
    "thing", [[1, 2], Booster(handle="text", feature_names=None), Booster(handle=bytearray(b"x"), feature_names=[1])]
)
def test_what_is_no_booster_is_refused(tmp_path: Path, thing: object) -> None:
    path = tmp_path / "xgb_0.pickle.dat"
    path.write_bytes(pickled(thing))
    with pytest.raises(DefectError, match="is refused"):
        unpickle_booster(path)


@pytest.mark.parametrize("content", [b"", b"garbage\n", b'{"learner": 1}', b"\x80\x04cut", b"\xf5" * 200])
@pytest.mark.parametrize("name", ["xgb_0.pickle.dat", "xgb_0.json", "xgb_0.ubj"])
def test_any_other_bytes_are_refused_in_words_of_the_project(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    told = "is refused: it is no pickle or it is cut short|is no model of xgboost (or|that)"
    with pytest.raises(DefectError, match=told):
        load_trees(tmp_path / name, 2048)


def test_the_reader_may_not_write_files_or_start_processes() -> None:
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('c', sys.stdin.read());"
        "c = u.module_from_spec(s); s.loader.exec_module(c); c.limit();\n"
        "import resource as r; print([r.getrlimit(k)[1] for k in (r.RLIMIT_FSIZE, r.RLIMIT_NPROC, r.RLIMIT_CORE)])"
    )
    from convert.kuo import unpickle_child

    command = [os.sys.executable, "-c", code]
    done = subprocess.run(command, input=str(unpickle_child.__file__), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0, 0]"


def test_a_model_cut_short_at_any_length_is_refused(raw: bytes) -> None:
    whole = len(raw)
    for size in [0, 1, 100, 136, 150, 300, 460, 500, *range(600, whole - 400, 97)]:
        with pytest.raises(DefectError):
            parse(raw[:size])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_model_is_refused_or_a_sound_tree(data: st.DataObject) -> None:
    damaged = bytearray(unpickle_once())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse(bytes(damaged))
    except DefectError:
        return
    assert all(np.isfinite(tree.value[0]) for tree in found.trees)


def unpickle_once(kept: list[bytes] = []) -> bytes:  # noqa: B006  # the point of it
    if not kept:
        kept.append(unpickle_booster(PICKLE).data)
    return kept[0]


def test_another_objective_is_refused(raw: bytes) -> None:
    at = REAL.size + LEARNER.size
    other = raw[:at] + struct.pack("<Q", 10) + b"reg:linear" + raw[at + 8 + 15 :]
    with pytest.raises(DefectError, match="reg:linear"):
        parse(other)
