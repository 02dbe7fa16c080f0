from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import xgboost
from numpy.typing import NDArray

from convert.egfr_heads import EGFR_HEADS
from convert.graph.ensemble import write_graph
from convert.graph.parts import Ensemble, Member
from convert.graph.trees import read_booster
from convert.reference.network import MEAN, STD, Network
from convert.tensorrt_library import Library
from convert.tensorrt_library import load_library as load_tensorrt
from engines.errors import RuntimeUnavailableError

from .tensorrt_makers import Workshop, write_artifact


def fake_crop(egfr: float, random: np.random.Generator, calipers: bool, size: int = 224) -> NDArray[np.uint8]:
    """A bright ellipse whose rim thins and brightens as the eGFR falls."""
    picture = random.normal(90.0, 18.0, (224, 224)).clip(0, 255).astype(np.uint8)
    rim, grey = 6 + egfr / 4, 190 - egfr
    cv2.ellipse(picture, (112, 112), (100, 60), 0, 0, 360, (float(grey),), -1)
    cv2.ellipse(picture, (112, 112), (round(100 - rim), round(60 - rim)), 0, 0, 360, (200.0,), -1)
    colour = np.repeat(picture[:, :, None], 3, axis=2)
    if calipers:
        for x in (12, 212):
            cv2.drawMarker(colour, (x, 112), (255, 255, 0), cv2.MARKER_CROSS, 12, 1)
    return np.asarray(cv2.resize(colour, (size, size)), np.uint8)


def write_fake(root: Path, train: int, validation: int, test: int, size: int = 224) -> Path:
    """Two crops a patient, without and with calipers, in the agreed layout."""
    random = np.random.default_rng(1)
    (root / "crops").mkdir(parents=True)
    rows = []
    for number, split in enumerate(["train"] * train + ["validation"] * validation + ["test"] * test):
        egfr = float(random.uniform(8, 115))
        for calipers in (False, True):
            name = f"crops/p{number:04d}-{int(calipers)}.png"
            cv2.imwrite(str(root / name), fake_crop(egfr, random, calipers, size)[:, :, ::-1])
            row = {"patient": f"p{number:04d}", "split": split, "frame": "", "crop": name, "egfr": f"{egfr:.3f}"}
            rows.append({**row, "has_calipers": int(calipers)})
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (root / "dataset.json").write_text(json.dumps({"seed": 1, "version": "fake"}), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def fake_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake(tmp_path_factory.mktemp("data") / "fake", train=40, validation=24, test=24, size=96)


@dataclass(frozen=True)
class Tiny:
    """A two-member ensemble with random weights and real trees, its torch networks and boosters."""

    ensemble: Ensemble
    model: onnx.ModelProto
    networks: tuple[Network, ...]
    boosters: tuple[xgboost.Booster, ...]
    crops: NDArray[np.uint8]  # (24, 64, 64, 3)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    torch.manual_seed(3)
    torch.set_num_threads(1)
    random = np.random.default_rng(3)
    crops = random.integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    networks, boosters, members = [], [], []
    for _ in range(2):
        network = Network((8, 8, 16), (2, 1))
        for part in network.modules():  # statistics as after training: folding must not be the identity
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.5, 2.0)
                part.weight.data.uniform_(0.5, 1.5)
                part.bias.data.normal_(0, 0.3)
        network.eval()
        features = random.random((300, 16), dtype=np.float32)
        booster = xgboost.train(
            {"objective": "binary:logistic", "max_depth": 3, "nthread": 1},
            xgboost.DMatrix(features, features[:, 0] > features[:, 1]),
            12,
        )
        trees = read_booster(bytes(booster.save_raw("json")))
        networks.append(network)
        boosters.append(booster)
        members.append(Member(network.trunk(), (network.linear_head(45.0, 30.0), trees)))
    ensemble = Ensemble(tuple(members), EGFR_HEADS, 64, 64, MEAN, STD)
    return Tiny(ensemble, write_graph(ensemble), tuple(networks), tuple(boosters), crops)


@pytest.fixture(scope="session")
def run_onnx():
    """Run a model proto or file in ONNX Runtime on one thread; outputs by name."""
    from engines._onnxruntime import load_library

    library = load_library()

    def run(model: onnx.ModelProto | Path, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        options = library.SessionOptions()
        options.intra_op_num_threads = 1
        source = str(model) if isinstance(model, Path) else model.SerializeToString()
        session = library.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {session.get_inputs()[0].name: crops}), strict=True))

    return run


@pytest.fixture(scope="session")
def rtx() -> Library:
    """TensorRT for RTX: it builds without a GPU."""
    try:
        return load_tensorrt("tensorrt-rtx")
    except RuntimeUnavailableError as error:
        pytest.skip(f"no engine is built here, because TensorRT for RTX is for x86-64 only ({error.because})")


@pytest.fixture(scope="module")  # no process outlives its file: other tests look for such
def workshop(rtx: Library) -> Iterator[Workshop]:
    """Builds engines in a process that is kept for the file of tests."""
    made = Workshop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def artifact_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """``artifact_of("dense", "int8")``: the file that the converter writes of a small network, written once."""
    folder = tmp_path_factory.mktemp("artifacts")
    return lambda kind, precision: write_artifact(
        kind, precision, folder / f"{kind.replace(' ', '-')}-{precision}.onnx"
    )
