"""Recipes: examples can be read as they are; whatever is wrong is one sentence that names the place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert.graph.parts import LinearHead
from convert.sources.example import FAMILIES, example
from convert.sources.meaning import limits, part, spec
from convert.sources.read_recipe import read_recipe
from convert.sources.recipe import Grades, Probability, Regression
from engines.errors import UsageError
from engines.manifest import GradesHead, ProbabilityHead, RegressionHead

WORDS = {"name": "h", "title": "H"}


def read(folder: Path, text: str):
    (folder / "r.toml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "r.toml")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(folder, text)
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


@pytest.mark.parametrize("family", FAMILIES)
def test_examples_can_be_read_as_they_are(tmp_path: Path, family: str) -> None:
    found = read(tmp_path, example(family))
    assert found.source.family == family
    assert found.model.limits
    assert not found.model.synthetic


def test_the_published_models_are_told_with_their_limits(tmp_path: Path) -> None:
    li, grade = (read(tmp_path, example(family)) for family in ("torchvision", "repvgg"))
    assert (li.source.architecture, li.outputs) == ("densenet121", 2)
    assert any("Case-control" in sentence for sentence in li.model.limits)
    assert isinstance(spec(grade.heads[0], mapped=True), GradesHead)
    assert any("not its input" in sentence for sentence in grade.model.limits)


def test_an_unknown_example_is_refused() -> None:
    with pytest.raises(UsageError, match="choose from torchvision, repvgg, onnx"):
        example("keras")


Edit = Callable[[str], str]


def swap(before: str, after: str) -> Edit:
    return lambda text: text.replace(before, after, 1)


@pytest.mark.parametrize(
    ("family", "edit", "message"),
    [
        ("onnx", swap("[model]", "[model"), "it is no valid TOML: .*line 3"),
        ("onnx", swap("[source]", "[sauce]"), "source: this field is missing; sauce: there is no such field"),
        ("onnx", swap("height = 224", "height = 8"), "input.height: input should be greater than or equal to 32"),
        ("onnx", swap("mean = [0.0, 0.0, 0.0]", "mean = [0.0]"), "input: mean has 1 values for 3 channels"),
        (
            "onnx",
            swap("std = [1.0, 1.0, 1.0]", "std = [1.0, 0.0, 1.0]"),
            r"input.std\[1\]: input should be greater than 0",
        ),
        ("onnx", swap('channels = "rgb"', 'channels = "grey"'), "mean has 3 values for 1 channel"),
        (
            "onnx",
            swap('kind = "regression"', 'kind = "regresion"'),
            r"heads\[0\]: input tag 'regresion' .* does not match",
        ),
        ("onnx", swap("boundaries = [5.0, 7.0]", "boundaries = [7.0, 5.0]"), r"heads\[0\]: boundaries must rise"),
        ("onnx", swap("boundaries = [5.0, 7.0]", "boundaries = [5.0]"), "one category more than boundaries"),
        ("onnx", swap("gain = 1.0", "gain = 0.0"), "a gain of 0 leaves nothing"),
        (
            "onnx",
            swap('unit = "mm"', 'unit = "mm"\nquantity = "egfr"'),
            r"an eGFR is in mL/min/1.73 m2, has lowest = 0.0",
        ),
        ("onnx", swap("# columns = [0]", "columns = [0, 0]"), "a column is named twice"),
        ("onnx", swap("# columns = [0]", "columns = [0, 1]"), "the head cortex names 2 columns and reads 1"),
        ("onnx", swap('family = "onnx"', 'family = "onnx"\narchitecture = "x"'), "source: an ONNX file says by itself"),
        ("onnx", swap('["model.onnx"]', '["a.onnx", "a.onnx"]'), "source: a file of weights is named twice"),
        ("onnx", swap('["model.onnx"]', "[]"), "source.weights: tuple should have at least 1 item"),
        (
            "torchvision",
            swap('architecture = "densenet121"', ""),
            "source: the family torchvision needs an architecture",
        ),
        (
            "torchvision",
            swap('positive = "end-stage"', 'positive = "sick"'),
            "positive is 'sick', which is none of the cl",
        ),
        ("torchvision", swap('positive = "end-stage"', ""), "classes and positive go together"),
        ("torchvision", swap('channels = "rgb"', 'layout = "nhwc"'), "the layout is for ONNX files"),
        ("torchvision", swap('name = "esrd"', 'name = "ESRD"'), r"heads\[0\].name: string should match pattern"),
        (
            "torchvision",
            swap('name = "esrd"', 'name = "esrd"\noutput = "a"'),
            "names an output, which networks of this fam",
        ),
        ("torchvision", swap('id = "li2021-densenet121"', 'id = "Li 2021"'), "model.id: string should match pattern"),
        ("repvgg", swap("# classes", "classes"), None),
        ("repvgg", swap("# classes = [", 'classes = ["x", '), "classes must be the grades in the order of the file"),
        ("repvgg", lambda text: text + text[text.index("[[heads]]") :], "two heads have the same name"),
    ],
)
def test_mistakes_name_the_line_or_the_field(tmp_path: Path, family: str, edit: Edit, message: str | None) -> None:
    text = edit(example(family))
    assert text != example(family)
    if message is None:
        assert read(tmp_path, text)
        return
    import re

    assert re.search(message, refusal(tmp_path, text)), refusal(tmp_path, text)


def test_several_mistakes_come_in_one_sentence(tmp_path: Path) -> None:
    text = (
        example("onnx").replace("height = 224", "height = 2").replace('version = "1.0.0"', "").replace("width", "wide")
    )
    sentence = refusal(tmp_path, text)
    for part_of in (
        "model.version: this field is missing",
        "input.height:",
        "input.width: this field is missing",
        "input.wide:",
    ):
        assert part_of in sentence
    assert sentence.endswith("see echogfr-convert model --example torchvision, repvgg or onnx.")


def test_a_head_that_is_wrong_is_not_called_a_lack_of_heads(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, example("onnx") + "\ncolour = 1\n")
    assert "because heads[0].colour: there is no such field: see" in sentence


def test_weights_given_as_a_recipe_and_no_file_are_said(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(UsageError, match="no text in UTF-8: name the TOML file, not the weights"):
        read_recipe(tmp_path / "w.pth")
    with pytest.raises(UsageError, match="no such file or directory"):
        read_recipe(tmp_path / "absent.toml")


LAYER = LinearHead(np.array([[1, 2], [3, 5], [-1, 4]], np.float32), np.array([0.5, 1.0, -2.0], np.float32))


def test_a_standardised_target_is_undone_in_the_weights() -> None:
    head = Regression(**WORDS, kind="regression", unit="mm", resolution=1.0, columns=(1,), gain=10.0, offset=40.0)
    found = part(head, LAYER)
    assert found.weight.tolist() == [[30.0, 50.0]]
    assert found.bias.tolist() == [50.0]
    assert isinstance(spec(head, mapped=False), RegressionHead)


def test_two_classes_become_one_answer_of_log_odds() -> None:
    named = {**WORDS, "kind": "probability", "event": "e", "classes": ("no", "yes"), "columns": (2, 0)}
    found = part(Probability(**named, positive="yes"), LAYER)
    assert found.weight.tolist() == [[2.0, -2.0]]  # row 0 minus row 2: "yes" is the network's answer 0
    assert found.bias.tolist() == [2.5]
    assert (found.activation, found.positive) == ("sigmoid", None)
    assert part(Probability(**named, positive="no"), LAYER).weight.tolist() == [[-2.0, 2.0]]


def test_three_classes_keep_their_softmax_and_the_map_says_so() -> None:
    head = Probability(**WORDS, kind="probability", event="e", classes=("a", "b", "c"), positive="c")
    assert (part(head, LAYER).activation, part(head, LAYER).positive) == ("softmax", 2)
    assert limits((head,), pooled=True) == (
        "The map of H shows what speaks for 'c' alone, not against the other classes.",
    )
    assert limits((head,), pooled=False)[0].startswith("No activation map")
    assert isinstance(spec(head, mapped=True), ProbabilityHead)


def test_grades_are_put_in_order_lowest_first() -> None:
    head = Grades(**WORDS, kind="grades", grades=("I", "II", "III"), classes=("III", "I", "II"))
    assert part(head, LAYER).weight.tolist() == [[3, 5], [-1, 4], [1, 2]]
