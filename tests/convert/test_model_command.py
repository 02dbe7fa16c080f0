"""``echogfr-convert model``: from a recipe, weights and crops to a bundle that the app reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from convert.cli import app
from convert.sources.example import example
from convert.sources.repvgg import VARIANTS, blocks, expected_shapes
from engines._onnxruntime_session import OnnxSession
from engines.bundle import open_bundle
from engines.reading import Reader
from engines.values import Chance, Graded, Regressed

from .kuo_makers import write_crops
from .onnx_makers import SIZE, pooled

NARROW = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
FLOAT = ("--without", "int8-cpu", "--without", "int8-tensorrt")


def invoke(*arguments: str | Path):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=NARROW)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    write_crops(folder, 210, SIZE)
    return folder


def read_one(bundle_path: Path, crop: np.ndarray):
    bundle = open_bundle(bundle_path)
    with OnnxSession(bundle, bundle.manifest.artifacts[0], 1) as session:
        return Reader(bundle, session).read(crop)


def onnx_recipe(folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(pooled().SerializeToString())
    second = """
[[heads]]
name = "scarred"
title = "Scarring"
kind = "probability"
event = "labelled scarred"
columns = [1]
"""
    text = (
        example("onnx")
        .replace("224", str(SIZE))
        .replace("# columns = [0]", "columns = [0]")
        .replace("gain = 1.0", "gain = 4.0")
    )
    (folder / "r.toml").write_text(text + second, encoding="utf-8")
    return folder / "r.toml"


def test_an_onnx_file_becomes_a_bundle_in_every_precision(tmp_path: Path, crops: Path) -> None:
    done = invoke("model", onnx_recipe(tmp_path), "--crops", crops, "--out", tmp_path / "b")
    assert done.exit_code == 0, done.output
    bundle = open_bundle(tmp_path / "b")
    assert [head.name for head in bundle.manifest.heads] == ["cortex", "scarred"]
    assert {item.precision for item in bundle.manifest.artifacts} == {"fp32", "fp16", "int8"}
    crop = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    thickness, scarred = read_one(tmp_path / "b", crop).values
    assert isinstance(thickness, Regressed) and isinstance(scarred, Chance)
    assert thickness.categories in ("thin", "middle", "thick")
    assert thickness.map is not None and thickness.map.shape == (8, 8)
    manifest = (tmp_path / "b" / "manifest.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in manifest
    card = (tmp_path / "b" / "card.md").read_text(encoding="utf-8")
    assert "model.onnx" in card and "r.toml" in card
    again = invoke("model", tmp_path / "r.toml", "--crops", crops, "--out", tmp_path / "b")
    assert again.exit_code == 2
    assert "--force" in again.stderr


def write_repvgg(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    state = {}
    for name, shape in expected_shapes(blocks(VARIANTS["RepVGG-A0"]), 2, deployed=False).items():
        fan = max(1, int(np.prod(shape[1:])))
        array = random.standard_normal(shape, np.float32) * np.float32((1 / fan) ** 0.5)
        if len(shape) == 1 and not name.endswith(("bias", "running_mean")):
            array = random.uniform(0.3, 0.8, shape).astype(np.float32)  # sums of three branches stay in range
            array = array if name.endswith("weight") else array + 0.5
        state[f"module.{name}"] = torch.from_numpy(array)
    torch.save({"state_dict": state}, path)


def test_two_repvgg_checkpoints_become_one_bundle_that_says_how_equal_it_is(tmp_path: Path, crops: Path) -> None:
    for at, name in enumerate(("a.pth", "b.pth")):
        write_repvgg(tmp_path / name, at)
    text = example("repvgg").replace("224", str(SIZE)).replace('["repvgg.pth"]', '["a.pth", "b.pth"]')
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    options = (*FLOAT, "--without", "fp16", "--crops", crops)
    done = invoke("model", tmp_path / "r.toml", *options, "--out", tmp_path / "b")
    assert done.exit_code == 0, done.output
    crop = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    (grade,) = read_one(tmp_path / "b", crop).values
    assert isinstance(grade, Graded)
    assert len(grade.members) == 2
    assert grade.members[0] != grade.members[1]
    assert grade.grade in ("low (I-II)", "high (III-IV)")
    shown = invoke("inspect", tmp_path / "b").stdout
    assert "re-parameterised" in shown
    assert "training form in torch, 8 crops, 2 members" in " ".join(shown.split())


def test_a_network_of_torchvision_becomes_a_bundle(tmp_path: Path, crops: Path) -> None:
    from convert.sources.torchvision_model import build

    torch.manual_seed(0)
    torch.save({"model": build("squeezenet1_1", 2).state_dict()}, tmp_path / "densenet121.pth")
    text = example("torchvision").replace('architecture = "densenet121"', 'architecture = "squeezenet1_1"')
    (tmp_path / "r.toml").write_text(text.replace("224", str(SIZE)), encoding="utf-8")
    done = invoke("model", tmp_path / "r.toml", "--crops", crops, "--out", tmp_path / "b", *FLOAT)
    assert done.exit_code == 0, done.output
    crop = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    (chance,) = read_one(tmp_path / "b", crop).values
    assert isinstance(chance, Chance)
    assert chance.head.event == "labelled end-stage"
    assert any("Case-control" in sentence for sentence in open_bundle(tmp_path / "b").manifest.limits)


def test_a_wrong_checkpoint_leaves_nothing_behind(tmp_path: Path, crops: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "repvgg.pth")
    (tmp_path / "r.toml").write_text(example("repvgg").replace("224", str(SIZE)), encoding="utf-8")
    done = invoke("model", tmp_path / "r.toml", "--crops", crops, "--out", tmp_path / "b")
    assert done.exit_code == 2
    assert "repvgg.pth lacks stage0.rbr_dense.conv.weight" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.toml", "repvgg.pth"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no recipe was named"),
        (("r.toml",), "no crops was named"),
        (("r.toml", "--crops", "c"), "no place for the bundle was named"),
        (("--example", "keras"), "choose from torchvision, repvgg, onnx"),
        (("r.toml", "--crops", "c", "--out", "b", "--without", "int4"), "'int4' cannot be left out"),
        (("absent.toml", "--crops", "c", "--out", "b"), "no such file or directory"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    tmp_path: Path, monkeypatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("model", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", ["torchvision", "repvgg", "onnx"])
def test_an_example_is_printed_as_it_is(family: str) -> None:
    done = invoke("model", "--example", family)
    assert done.exit_code == 0
    assert done.stdout == example(family)
