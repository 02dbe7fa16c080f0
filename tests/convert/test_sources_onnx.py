"""ONNX files of unknown origin: every form that is taken says the same afterwards, every other is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.checkpoint import DefectError
from convert.graph.ensemble import write_graph
from convert.precision import to_fp16
from convert.sources import onnx_file
from convert.sources.collect import Collected, check_files, read_each
from convert.sources.equivalence import measure
from convert.sources.recipe import Recipe
from convert.sources.unknown_onnx import read_onnx
from engines.errors import UsageError

from .onnx_makers import SIZE, body, model, numpy_answers, pooled, weights

GIVEN = {"height": SIZE, "width": SIZE, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}
EVENT = {"name": "p", "title": "P", "kind": "probability", "event": "it", "classes": ("no", "yes"), "positive": "yes"}
NUMBER = {
    "name": "x",
    "title": "X",
    "kind": "regression",
    "unit": "mm",
    "resolution": 0.5,
    "columns": (1,),
    "gain": 2.0,
}
NUMBER |= {"offset": 10.0}


def recipe(heads: tuple = (EVENT,), given: dict | None = None, files: tuple[str, ...] = ("m.onnx",)) -> Recipe:
    about = {"id": "m", "version": "1", "title": "M", "training": "T.", "data": "D", "limits": ["L."]}
    source = {"family": "onnx", "weights": files}
    return Recipe.model_validate(
        {"model": about, "source": source, "input": {**GIVEN, **(given or {})}, "heads": heads}
    )


def taken(made: onnx.ModelProto, folder: Path, told: Recipe | None = None) -> Collected:
    """Through the file and all checks, the original held against the result."""
    told = told or recipe()
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    (collected,) = read_each(told, folder, check_files(told, folder))
    crops = np.random.default_rng(5).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)
    assert measure(collected.ensemble, 0, collected.network, crops, told.input).answers < 1e-5
    return collected


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    random = np.random.default_rng(4)
    return np.stack([random.integers(0, 60 * (at + 1), (SIZE, SIZE, 3), dtype=np.uint8) for at in range(4)])


def seen(crops: np.ndarray) -> np.ndarray:
    value = (crops / 255.0 - np.array(GIVEN["mean"])) / np.array(GIVEN["std"])
    return value.transpose(0, 3, 1, 2).astype(np.float32)


def test_probability_of_two_classes_and_its_map_are_those_of_plain_arithmetic(tmp_path: Path, crops, run_onnx) -> None:
    arrays = weights(1)
    found = run_onnx(write_graph(taken(pooled(), tmp_path).ensemble), crops)
    maps, raw = numpy_answers(seen(crops), arrays)
    odds = raw[:, 1] - raw[:, 0]
    assert np.abs(found["p_members"][:, 0] - 1 / (1 + np.exp(-odds))).max() < 1e-5
    assert np.abs(found["features"] - maps.mean((2, 3))).max() < 1e-5
    difference = arrays["w2"][:, 1] - arrays["w2"][:, 0]
    assert np.abs(found["p_map"] - np.einsum("nfhw,f->nhw", maps, difference)).max() < 1e-4
    bias = arrays["b2"][1] - arrays["b2"][0]
    assert np.abs(found["p_map"].mean((1, 2)) + bias - odds).max() < 1e-4  # the map adds up to the log-odds
    assert odds.std() > 0.1


def test_of_three_classes_the_map_is_that_of_the_positive_one(tmp_path: Path, crops, run_onnx) -> None:
    arrays = weights(1, answers=3)
    made = pooled(width=3)
    for tensor in made.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(arrays[tensor.name], tensor.name))
    head = {**EVENT, "classes": ("a", "b", "c"), "positive": "b"}
    found = run_onnx(write_graph(taken(made, tmp_path, recipe((head,))).ensemble), crops)
    maps, raw = numpy_answers(seen(crops), arrays)
    powers = np.exp(raw)
    assert np.abs(found["p_members"][:, 0] - powers[:, 1] / powers.sum(1)).max() < 1e-5
    assert np.abs(found["p_map"] - np.einsum("nfhw,f->nhw", maps, arrays["w2"][:, 1])).max() < 1e-4


def test_two_heads_share_one_trunk(tmp_path: Path, crops, run_onnx) -> None:
    graph = write_graph(taken(pooled(), tmp_path, recipe((NUMBER, EVENT))).ensemble)
    found = run_onnx(graph, crops)
    _, raw = numpy_answers(seen(crops), weights(1))
    assert np.abs(found["x_members"][:, 0] - (raw[:, 1] * 2 + 10)).max() < 1e-4
    assert [output.name for output in graph.graph.output] == ["x_members", "p_members", "features", "x_map", "p_map"]
    assert sum(node.op_type == "Conv" and "/trunk/" in node.name for node in graph.graph.node) == 2


def test_names_say_the_stage_and_batch_norms_are_folded(tmp_path: Path) -> None:
    graph = write_graph(taken(pooled(), tmp_path).ensemble).graph
    assert all(node.op_type != "BatchNormalization" for node in graph.node)
    convolutions = [node.name for node in graph.node if node.op_type == "Conv" and "/trunk/" in node.name]
    assert [name.startswith("member0/trunk/stem/") for name in convolutions] == [True, False]
    stages = {"input", "member0", "p_members", "p_map", "features"}
    assert {node.name.split("/")[0] for node in graph.node} == stages
    assert all(tensor.name.startswith(("input/", "member0/", "heads/")) for tensor in graph.initializer)


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 18, 21])
def test_other_opsets_become_that_of_the_project(tmp_path: Path, opset: int) -> None:
    made = pooled(opset=opset)
    assert {(item.domain, item.version) for item in write_graph(taken(made, tmp_path).ensemble).opset_import} == {
        ("", 17)
    }


def test_reductions_and_splits_of_opset_18_keep_their_meaning(tmp_path: Path) -> None:
    nodes = [
        *body("image"),
        helper.make_node("Split", ["map"], ["left", "right"], axis=1, num_outputs=2),
        helper.make_node("Concat", ["right", "left"], ["swapped"], axis=1),
        helper.make_node("ReduceMean", ["swapped", "axes"], ["flat"], keepdims=0, noop_with_empty_axes=0),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["answers"]),
    ]
    arrays = {**weights(1), "axes": np.array([2, 3], np.int64)}
    assert taken(model(nodes, arrays, opset=18), tmp_path).ensemble.pooled


@pytest.mark.parametrize("axes", [(1, 2), (-3, -2)])
def test_channels_last_throughout_are_cut_too(tmp_path: Path, axes: tuple[int, int], crops, run_onnx) -> None:
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        *body("first"),
        helper.make_node("Transpose", ["map"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["last"], ["flat"], axes=list(axes), keepdims=0),
        helper.make_node("MatMul", ["flat", "w2"], ["product"]),
        helper.make_node("Add", ["product", "b2"], ["answers"]),
    ]
    told = recipe(given={"layout": "nhwc"})
    found = run_onnx(
        write_graph(taken(model(nodes, weights(1), shape=(SIZE, SIZE, 3)), tmp_path, told).ensemble), crops
    )
    _, raw = numpy_answers(seen(crops), weights(1))
    assert np.abs(found["p_members"][:, 0] - 1 / (1 + np.exp(raw[:, 0] - raw[:, 1]))).max() < 1e-5
    assert found["p_map"].shape == (4, 8, 8)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_freed(tmp_path: Path, batch: int, crops, run_onnx) -> None:
    nodes = [
        *body("image"),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "form"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["answers"]),
    ]
    made = model(nodes, {**weights(1), "form": np.array([batch, 6], np.int64)}, batch=batch)
    found = run_onnx(write_graph(taken(made, tmp_path).ensemble), crops)
    assert found["p_members"].shape == (4, 1)


def test_blue_first_bytes_and_grey_are_what_the_recipe_says(tmp_path: Path, crops, run_onnx) -> None:
    given = {"channels": "bgr", "divisor": 1.0, "mean": (103.9, 116.8, 123.7), "std": (57.4, 57.1, 58.4)}
    found = run_onnx(write_graph(taken(pooled(), tmp_path, recipe(given=given)).ensemble), crops)
    blue_first = (crops[:, :, :, ::-1] - np.array(given["mean"])) / np.array(given["std"])
    _, raw = numpy_answers(blue_first.transpose(0, 3, 1, 2).astype(np.float32), weights(1))
    assert np.abs(found["p_members"][:, 0] - 1 / (1 + np.exp(raw[:, 0] - raw[:, 1]))).max() < 1e-5

    grey = {"channels": "grey", "mean": (0.5,), "std": (0.5,)}
    made = model(pooled().graph.node, weights(1, channels=1), shape=(1, SIZE, SIZE))
    found = run_onnx(write_graph(taken(made, tmp_path, recipe(given=grey)).ensemble), crops)
    luma = (crops @ np.array([0.299, 0.587, 0.114]) / 255 - 0.5) / 0.5
    _, raw = numpy_answers(luma[:, None].astype(np.float32), weights(1, channels=1))
    assert np.abs(found["p_members"][:, 0] - 1 / (1 + np.exp(raw[:, 0] - raw[:, 1]))).max() < 1e-5


@pytest.mark.parametrize("tail", ["Softmax", "Sigmoid"])
def test_an_activation_at_the_end_is_not_applied_twice(tmp_path: Path, tail: str, crops, run_onnx) -> None:
    head = (
        EVENT
        if tail == "Softmax"
        else {key: EVENT[key] for key in ("name", "title", "kind", "event")} | {"columns": (1,)}
    )
    collected = taken(pooled(tail), tmp_path, recipe((head,)))
    found = run_onnx(write_graph(collected.ensemble), crops)
    _, raw = numpy_answers(seen(crops), weights(1))
    wanted = np.exp(raw) / np.exp(raw).sum(1, keepdims=True) if tail == "Softmax" else 1 / (1 + np.exp(-raw))
    assert np.abs(found["p_members"][:, 0] - wanted[:, 1]).max() < 1e-5
    assert collected.ensemble.pooled


def unpooled() -> onnx.ModelProto:
    """The whole map is flattened, as in VGG: no pooling to cut before."""
    arrays = weights(1)
    arrays["w2"] = np.random.default_rng(2).normal(0, 0.05, (6 * 8 * 8, 2)).astype(np.float32)
    nodes = [
        *body("image"),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["answers"]),
    ]
    return model(nodes, arrays)


def test_a_network_without_pooling_is_left_whole_and_has_no_map(tmp_path: Path, crops, run_onnx) -> None:
    collected = taken(unpooled(), tmp_path)
    graph = write_graph(collected.ensemble)
    assert [output.name for output in graph.graph.output] == ["p_members"]
    assert collected.heads[0].map is None
    wanted = collected.network.original(seen(crops))["answers"]
    found = run_onnx(graph, crops)["p_members"][:, 0]
    assert np.abs(found - 1 / (1 + np.exp(wanted[:, 0] - wanted[:, 1]))).max() < 1e-5
    linear = next(node for node in graph.graph.node if node.op_type == "Gemm")
    assert linear.name.startswith("member0/heads/")  # so it stays in float


def test_half_precision_answers_are_near_those_of_a_whole_network(tmp_path: Path, crops, run_onnx) -> None:
    graph = write_graph(taken(unpooled(), tmp_path).ensemble)
    before, after = (run_onnx(one, crops)["p_members"] for one in (graph, to_fp16(graph)))
    assert 0.0 < np.abs(before - after).max() < 0.01


def test_of_several_outputs_a_head_names_its_own(tmp_path: Path, crops, run_onnx) -> None:
    nodes = [*pooled().graph.node, helper.make_node("Gemm", ["flat", "w3"], ["other"])]
    arrays = {**weights(1), "w3": np.random.default_rng(3).normal(size=(6, 1)).astype(np.float32)}
    made = model(nodes, arrays, outputs=("answers",))
    made.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, ["n", 1]))
    number = {key: value for key, value in NUMBER.items() if key != "columns"} | {"output": "other"}
    collected = taken(made, tmp_path, recipe(({**EVENT, "output": "answers"}, number)))
    found = run_onnx(write_graph(collected.ensemble), crops)
    maps, _ = numpy_answers(seen(crops), arrays)
    assert np.abs(found["x_members"] - (maps.mean((2, 3)) @ arrays["w3"] * 2 + 10)).max() < 1e-4
    assert (
        sum(node.op_type == "Conv" and "/trunk/" in node.name for node in write_graph(collected.ensemble).graph.node)
        == 2
    )
    with pytest.raises(DefectError, match=r"has 2 outputs \(answers, other\), so the head p must name its output"):
        read_onnx(tmp_path / "m.onnx", recipe())
    with pytest.raises(DefectError, match="has no output logits, only answers, other"):
        read_onnx(tmp_path / "m.onnx", recipe(({**EVENT, "output": "logits"},)))


def with_node(node: onnx.NodeProto, domain: str = "") -> onnx.ModelProto:
    made = pooled()
    made.graph.node[-1].output[0] = "before"
    made.graph.node.append(node)
    if domain:
        made.opset_import.append(helper.make_opsetid(domain, 1))
    return made


def external() -> onnx.ModelProto:
    made = pooled()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return made


def branching() -> onnx.ModelProto:
    result = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Identity", ["before"], ["inner"])], "inner", [], [result])
    return with_node(helper.make_node("If", ["condition"], ["answers"], then_branch=inner, else_branch=inner))


def half() -> onnx.ModelProto:
    made = pooled()
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights(1)["w0"].astype(np.float16), "w0"))
    return made


def two_inputs() -> onnx.ModelProto:
    made = with_node(helper.make_node("Add", ["before", "age"], ["answers"]))
    made.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, ["n", 1]))
    return made


def touching() -> onnx.ModelProto:
    """Answers are taken relative to the batch."""
    made = with_node(helper.make_node("Sub", ["before", "middle"], ["answers"]))
    made.graph.node.insert(len(made.graph.node) - 1, helper.make_node("ReduceMean", ["before"], ["middle"], axes=[0]))
    return made


def huge() -> onnx.ModelProto:
    made = pooled()
    made.graph.node.append(helper.make_node("Expand", ["b2", "form"], ["wide"]))
    made.graph.initializer.append(numpy_helper.from_array(np.array([1 << 30, 2], np.int64), "form"))
    made.graph.output.append(helper.make_tensor_value_info("wide", TensorProto.FLOAT, [1 << 30, 2]))
    return made


def changed(at: str, value: float) -> onnx.ModelProto:
    """``pooled`` with one of its weights filled with a value."""
    made = pooled()
    for tensor in made.graph.initializer:
        if tensor.name == at:
            tensor.CopyFrom(numpy_helper.from_array(np.full(tensor.dims, value, np.float32), at))
    return made


def picture() -> onnx.ModelProto:
    made = model([helper.make_node("Relu", ["image"], ["answers"])], {})
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["n", 3, SIZE, SIZE]))
    return made


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (external(), "keeps weights in other files, so save it again with all data inside"),
        (
            with_node(helper.make_node("Gelu", ["before"], ["answers"], domain="com.microsoft"), "com.microsoft"),
            "uses operators of com.microsoft",
        ),
        (with_node(helper.make_node("NonZero", ["before"], ["answers"])), "uses NonZero, which cannot be taken over"),
        (branching(), "uses If, which cannot be taken over"),
        (half(), "has float16 in w0, so save it in float32"),
        (two_inputs(), r"has 2 inputs \(image, age\) instead of the picture alone"),
        (
            pooled(shape=(3, 48, 48)),
            r"wants an input of \? x 3 x 48 x 48 where the recipe says N x C x H x W with 3 x 32 x 32",
        ),
        (pooled(opset=6), "is of opset 6 and 7 is the oldest"),
        (pooled(opset=99), "is of opset 99 and .* is the newest that the installed onnx knows"),
        (changed("b2", np.nan), "gives answers that are not finite"),
        (changed("w2", 0.0), "gives the same answer to 5 different crops"),
        (huge(), r"makes a tensor of 8192 MB \(wide\)"),
        (touching(), "answers differently to one crop alone and among others"),
        (pooled("Softmax"), "ends with a softmax, which does not go with the head x"),
        (picture(), "gives 3072 answers in answers and 1000 are the most"),
    ],
)
def test_what_cannot_be_taken_over_is_named(tmp_path: Path, made: onnx.ModelProto, message: str) -> None:
    heads = (NUMBER,) if "head x" in message else (EVENT,)
    with pytest.raises((UsageError, DefectError), match=message):
        taken(made, tmp_path, recipe(heads))


def test_answers_and_heads_must_match(tmp_path: Path) -> None:
    three = {**EVENT, "classes": ("a", "b", "c"), "positive": "a"}
    with pytest.raises(UsageError, match="gives 2 answers where the head p reads 3, so name its columns"):
        taken(pooled(), tmp_path, recipe((three,)))
    with pytest.raises(UsageError, match="gives 2 answers where the head x reads column 7"):
        taken(pooled(), tmp_path, recipe(({**NUMBER, "columns": (7,)},)))


@pytest.mark.parametrize("content", [b"", b"<html>quota exceeded</html>", pooled().SerializeToString()[:400]])
def test_what_is_no_onnx_file_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(DefectError, match=r"is empty|is no ONNX file or it is cut short|is no valid ONNX"):
        read_onnx(tmp_path / "m.onnx", recipe())


def test_a_file_beyond_the_limits_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_bytes(pooled().SerializeToString())
    monkeypatch.setattr(onnx_file, "LARGEST_FILE", 1000)
    with pytest.raises(DefectError, match=r"has \d+ MB and 0 are the most"):
        read_onnx(tmp_path / "m.onnx", recipe())


def test_files_of_other_sizes_are_no_ensemble_and_all_defects_come_in_one_sentence(tmp_path: Path) -> None:
    wide = weights(1, features=9)
    (tmp_path / "a.onnx").write_bytes(pooled().SerializeToString())
    (tmp_path / "b.onnx").write_bytes(model(pooled().graph.node, wide).SerializeToString())
    (tmp_path / "c.onnx").write_bytes(external().SerializeToString())
    told = recipe(files=("a.onnx", "b.onnx", "c.onnx"))
    files = check_files(told, tmp_path)
    with pytest.raises(UsageError) as caught:
        list(read_each(told, tmp_path, files))
    assert "b.onnx gives features and maps of other sizes than a.onnx; c.onnx keeps weights" in caught.value.sentence


def test_missing_and_doubled_files_are_named(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(pooled().SerializeToString())
    with pytest.raises(UsageError) as caught:
        check_files(recipe(files=("a.onnx", "b.onnx", "c.onnx")), tmp_path)
    assert (
        "b.onnx is the same file as a.onnx; c.onnx cannot be read (No such file or directory)" in caught.value.sentence
    )
