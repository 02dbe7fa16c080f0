"""The published layout is read as it is, into a graph that says what the networks say; all defects in one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import xgboost
from numpy.typing import NDArray

from convert.checkpoint import DefectError
from convert.graph.ensemble import write_graph
from convert.kuo.checkpoint import load_checkpoint
from convert.kuo.layout import Layout, expected_shapes
from convert.kuo.source import Request, Source, read_source
from convert.progress import silent
from engines.errors import UsageError

from .kuo_makers import Published, legacy_bytes, network, write_crops, write_models

SMALL = Layout(layers=(1, 1, 1, 1), width=8, classes=50, hidden=(32, 16), size=64)
# of sorted JSON [name, shape] of torchvision 0.28's resnet101 (without counters) under module.base_model, and of
# Sequential(Linear(1000, 512), ReLU, Dropout, Linear(512, 256), ReLU, Dropout, Linear(256, 1)) under module.fc
TORCHVISION = "3ffab72873c241175f4a4ac9d4b66a7075401582a442cbd45ef6c835edd2bb97"


@dataclass(frozen=True)
class Made:
    folder: Path
    crops: NDArray[np.uint8]
    members: list[tuple[Published, xgboost.Booster]]
    source: Source
    model: onnx.ModelProto


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("kuo")
    crops = write_crops(root / "crops", 60, SMALL.size)
    members = write_models(root / "models", SMALL, crops, 2)
    source = read_source(Request(root / "models", None, layout=SMALL), silent)
    return Made(root / "models", crops, members, source, write_graph(source.ensemble))


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.folder, tmp_path / "models"))


def refusal(folder: Path, members: int | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        read_source(Request(folder, members, layout=SMALL), silent)
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


def test_names_and_shapes_are_those_of_torchvisions_resnet101() -> None:
    shapes = expected_shapes(Layout())
    assert len(shapes) == 528
    found = json.dumps(sorted((name, list(shape)) for name, shape in shapes.items()))
    assert hashlib.sha256(found.encode()).hexdigest() == TORCHVISION
    weights = sum(int(np.prod(shape)) for name, shape in shapes.items() if ".running_" not in name)
    assert weights == 45_193_257  # clinic-and-paper 1.5


def test_the_graph_answers_what_the_networks_answer(made: Made, run_onnx) -> None:
    found = run_onnx(made.model, made.crops)
    maps = []
    for index, (one, _) in enumerate(made.members):
        egfr, features, cam = one.answers(made.crops)
        maps.append(cam)
        assert np.abs(egfr - found["egfr_members"][:, index]).max() < 1e-3
        mine = found["features"][:, index * SMALL.features : (index + 1) * SMALL.features]
        assert np.abs(features - mine).max() < 1e-4
    assert found["egfr_members"].std() > 10


def test_the_map_is_grad_cam_of_autograd(made: Made, run_onnx) -> None:
    found = run_onnx(made.model, made.crops)["egfr_map"]
    expected = np.mean([one.answers(made.crops)[2] for one, _ in made.members], axis=0)
    assert found.shape == (60, 2, 2)
    assert np.abs(found - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())
    assert (found < 0).any() and (found > 0).any()


def test_masks_of_closed_relus_matter(made: Made) -> None:
    """Otherwise the map test could not fail: some hidden units are closed for some crops and open for others."""
    one = made.members[0][0]
    features = torch.from_numpy(one.answers(made.crops)[1])
    with torch.no_grad():
        hidden = one.fc[0](one.base_model.fc(features))
    share = (hidden > 0).float().mean(0)
    assert ((share > 0.05) & (share < 0.95)).sum() > 3


def test_probabilities_are_xgboosts_on_the_selected_features(made: Made, run_onnx) -> None:
    found = run_onnx(made.model, made.crops)
    for index, (_, trees) in enumerate(made.members):
        features = found["features"][:, index * SMALL.features : (index + 1) * SMALL.features]
        columns = [int(name) for name in trees.feature_names]
        rows = xgboost.DMatrix(features[:, columns], feature_names=trees.feature_names)
        assert np.abs(trees.predict(rows) - found["p_egfr_below_60_members"][:, index]).max() < 1e-5


def test_the_files_are_named_with_their_hashes(made: Made) -> None:
    first = made.source.files[0]
    assert [file.name for file in made.source.files] == ["model_0.pkl", "xgb_0.json", "model_1.pkl", "xgb_1.json"]
    assert first.sha256 == hashlib.sha256((made.folder / first.name).read_bytes()).hexdigest()


def test_a_checkpoint_of_todays_torch_is_read_too(made: Made, tmp_path: Path) -> None:
    one = made.members[0][0]
    torch.save({f"module.{name}": value for name, value in one.state_dict().items()}, tmp_path / "new.pkl")
    old, new = load_checkpoint(made.folder / "model_0.pkl", SMALL), load_checkpoint(tmp_path / "new.pkl", SMALL)
    assert old.keys() == new.keys() and all(np.array_equal(old[name], new[name]) for name in old)


def test_fewer_members_can_be_chosen(made: Made) -> None:
    source = read_source(Request(made.folder, 1, layout=SMALL), silent)
    assert len(source.ensemble.members) == 1


def test_all_defects_come_in_one_sentence(copied: Path) -> None:
    (copied / "model_1.pkl").write_bytes((copied / "model_0.pkl").read_bytes()[:-5000])
    (copied / "xgb_0.json").unlink()
    (copied / "model_2.pkl").write_bytes((copied / "model_0.pkl").read_bytes())
    shutil.copy(Path(__file__).parent / "data" / "xgb_072.pickle.dat", copied / "xgb_2.pickle.dat")
    sentence = refusal(copied)
    for part in ("model_1.pkl", "xgb_0.pickle.dat (or xgb_0.json, xgb_0.ubj) is missing", "xgb_2.pickle.dat reads"):
        assert part in sentence
    assert "model_2.pkl is the same file as model_0.pkl" in sentence


def test_members_that_are_not_there_are_named(copied: Path) -> None:
    assert "model_2.pkl is missing" in refusal(copied, members=3)
    assert "11 members" in refusal(copied, members=11)


def test_an_empty_folder_and_no_folder_are_refused(tmp_path: Path) -> None:
    assert "no model_0.pkl" in refusal(tmp_path)
    assert "no such folder" in refusal(tmp_path / "absent")


def test_swapped_files_and_pages_of_a_download_site_are_named(copied: Path) -> None:
    shutil.copy(Path(__file__).parent / "data" / "xgb_072.pickle.dat", copied / "model_2.pkl")
    shutil.copy(copied / "model_0.pkl", copied / "xgb_2.pickle.dat")
    (copied / "model_1.pkl").write_text("<html>quota exceeded</html>")
    (copied / "model_0.pkl").write_bytes(b"")
    sentence = refusal(copied)
    for part in ("model_2.pkl is refused", "xgb_2.pickle.dat is refused", "model_1.pkl is refused", "model_0.pkl is e"):
        assert part in sentence


def test_two_boosters_for_one_member_are_refused(copied: Path) -> None:
    shutil.copy(copied / "xgb_0.json", copied / "xgb_0.ubj")
    assert "xgb_0.json and xgb_0.ubj are there at once" in refusal(copied)


Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("base_model.fc.bias"), "lacks module.base_model.fc.bias"),
        (lambda state: state.update(stray=torch.zeros(2)), "has module.stray too much"),
        (lambda state: state.update({"fc.6.weight": torch.zeros(1, 3)}), r"fc.6.weight as \(1, 3\) instead of"),
        (lambda state: state["base_model.conv1.weight"].fill_(float("nan")), "values that no trained network has"),
        (lambda state: state["base_model.bn1.running_var"].fill_(-1.0), "values that no trained network has"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(made: Made, tmp_path: Path, change: Change, message: str) -> None:
    state = {name: value.clone() for name, value in made.members[0][0].state_dict().items()}
    change(state)
    (tmp_path / "m.pkl").write_bytes(legacy_bytes(state))
    with pytest.raises(DefectError, match=message):
        load_checkpoint(tmp_path / "m.pkl", SMALL)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"module.x": Evil()}, tmp_path / "m.pkl")
    with pytest.raises(DefectError, match="no file of plain tensors"):
        load_checkpoint(tmp_path / "m.pkl", SMALL)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("size", [0, 10, 200, 3000, 20_000, -4])
def test_a_checkpoint_cut_short_is_refused(made: Made, tmp_path: Path, size: int) -> None:
    (tmp_path / "m.pkl").write_bytes((made.folder / "model_0.pkl").read_bytes()[:size])
    with pytest.raises(DefectError):
        load_checkpoint(tmp_path / "m.pkl", SMALL)


def test_the_full_network_is_far_from_the_small_one(tmp_path: Path) -> None:
    """A reduced checkpoint must not pass as the published one."""
    crops = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    (tmp_path / "m.pkl").write_bytes(legacy_bytes(network(SMALL, 1, crops).state_dict()))
    with pytest.raises(DefectError, match=r"lacks module\.base_model\.layer1\.1\.conv1\.weight.* and \d+ more"):
        load_checkpoint(tmp_path / "m.pkl", Layout())
