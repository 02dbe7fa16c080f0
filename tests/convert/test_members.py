"""Members one after the other: merged into one graph in pieces, or left apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from convert import merging
from convert.anatomy import dissect
from convert.calibration import tensors_of, to_int8
from convert.graph.ensemble import write_graph
from convert.graph.parts import Ensemble
from convert.members import interface, join, save
from convert.merging import merge
from convert.precision import to_fp16
from convert.progress import silent
from convert.ranges import measure
from convert.running import Run
from engines.errors import UsageError

from .head_makers import HEADS, PIXELS, SIZE, member

MEMBERS = 3


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    """Three members with a probability, a regression and grades, all with maps."""
    members = tuple(member(seed) for seed in range(MEMBERS))
    return Ensemble(members, HEADS, SIZE, SIZE, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def graphs(ensemble: Ensemble) -> list[onnx.ModelProto]:
    return [write_graph(replace(ensemble, members=(one,))) for one in ensemble.members]


Form = Callable[[onnx.ModelProto], onnx.ModelProto]


def quantised(family: str) -> Form:
    def make(model: onnx.ModelProto) -> onnx.ModelProto:
        crops = PIXELS[:40]
        ranges = measure(model, tensors_of(dissect(model)), crops, np.ones(len(crops), np.bool_), silent).ranges
        return to_int8(model, family, ranges)

    return make


FORMS: dict[str, Form] = {
    "fp32": lambda model: model,
    "fp16": to_fp16,
    "cpu": quantised("cpu"),
    "tensorrt": quantised("tensorrt"),
}


def merged(graphs: list[onnx.ModelProto], heads: tuple, folder: Path) -> onnx.ModelProto:
    files = [save(model, folder / f"{index}.onnx") for index, model in enumerate(graphs)]
    merge(files, heads, folder / "all.onnx", silent)
    assert sorted(path.name for path in folder.iterdir()) == ["0.onnx", "1.onnx", "2.onnx", "all.onnx"]
    model = onnx.load(folder / "all.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (folder / "all.onnx").stat().st_size == model.ByteSize()  # one graph field, not several that add up
    return model


def content(model: onnx.ModelProto) -> list[list[bytes]]:
    graph = model.graph
    parts = (graph.node, graph.initializer, graph.input, graph.output, model.opset_import)
    return [sorted(item.SerializeToString(deterministic=True) for item in part) for part in parts]


def test_merged_members_are_the_graph_of_all(ensemble: Ensemble, graphs, tmp_path: Path) -> None:
    whole, model = write_graph(ensemble), merged(graphs, HEADS, tmp_path)
    assert content(model) == content(whole)
    assert (model.ir_version, model.producer_name) == (whole.ir_version, whole.producer_name)


def test_so_are_those_with_trees(tiny, tmp_path: Path) -> None:
    three = replace(tiny.ensemble, members=(*tiny.ensemble.members, tiny.ensemble.members[0]))
    graphs = [write_graph(replace(three, members=(one,))) for one in three.members]
    model = merged(graphs, three.heads, tmp_path)
    assert [node.name for node in model.graph.node] == [node.name for node in write_graph(three).graph.node]
    assert content(model) == content(write_graph(three))


@pytest.mark.parametrize("form", ["fp16", "cpu", "tensorrt"])
def test_a_merged_form_answers_as_its_members_do(graphs, form: str, tmp_path: Path) -> None:
    typed = [FORMS[form](model) for model in graphs]
    as_written, crops = form == "tensorrt", PIXELS[40:52]
    together = Run(merged(typed, HEADS, tmp_path), as_written)(crops)
    apart = join(HEADS, [Run(model, as_written)(crops) for model in typed])
    assert together.keys() == apart.keys()
    for name, values in together.items():
        assert np.abs(values - apart[name]).max() < 1e-4, name


def test_the_interface_is_that_of_all_members(ensemble: Ensemble, graphs) -> None:
    shown = interface([model.graph for model in graphs], HEADS).graph
    whole = write_graph(ensemble).graph
    assert list(shown.input) == list(whole.input)
    assert list(shown.output) == list(whole.output)


def test_what_protobuf_cannot_read_is_refused_and_leaves_nothing(graphs, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(merging, "LIMIT", 20_000)
    files = [save(model, tmp_path / f"{index}.onnx") for index, model in enumerate(graphs)]
    with pytest.raises(UsageError, match=r"all members together have .* MB .*--separate-members"):
        merge(files, HEADS, tmp_path / "all.onnx", silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.onnx", "1.onnx", "2.onnx"]


def test_a_cancelled_merge_leaves_no_piece(graphs, tmp_path: Path) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    files = [save(model, tmp_path / f"{index}.onnx") for index, model in enumerate(graphs)]
    with pytest.raises(KeyboardInterrupt):
        merge(files, HEADS, tmp_path / "all.onnx", cancel)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.onnx", "1.onnx", "2.onnx"]
