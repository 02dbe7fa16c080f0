"""A manifest whose fields are valid one by one and that makes no sense as a whole is refused, with what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.bundle import open_bundle
from engines.consistency import contradictions
from engines.errors import BundleError
from engines.manifest import BundleManifest

from .bundle_makers import BRIGHT_HEAD, MODELS, BundlePlan, GraphPlan, write_bundle

Json = dict[str, Any]
Change = Callable[[Json], None]
OTHER_HEAD = {"kind": "regression", "quantity": "other", "unit": "cm", "resolution": 0.1, "title": "Length"}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The manifest of each small model, and of the first one with its members apart, as text."""
    folder = tmp_path_factory.mktemp("manifests")
    plans = {name: BundlePlan(model=name, parity=(("fp32", "any", True),)) for name in MODELS}
    graphs = {("fp32", "any"): GraphPlan(), ("int8", "cpu"): GraphPlan(doc="eight")}
    plans["apart"] = BundlePlan(graphs=graphs, apart=(("fp32", "any"),))
    return {name: (write_bundle(folder / name, plan) / "manifest.json").read_text() for name, plan in plans.items()}


def defects(text: str, change: Change | None = None) -> list[str]:
    raw = json.loads(text)
    if change is not None:
        change(raw)
    return list(contradictions(BundleManifest.model_validate_json(json.dumps(raw))))


def head(at: int = 0, **fields: Any) -> Change:
    return lambda raw: raw["heads"][at].update(fields)


def band(**fields: Any) -> Change:
    return lambda raw: raw["heads"][0]["interval"].update(fields)


def output(at: int = 0, **fields: Any) -> Change:
    return lambda raw: raw["outputs"][at].update(fields)


def artifact(at: int = 0, **fields: Any) -> Change:
    return lambda raw: raw["artifacts"][at].update(fields)


def add_output(name: str, meaning: str, shape: list[int]) -> Change:
    return lambda raw: raw["outputs"].append({"name": name, "meaning": meaning, "shape": shape, "unit": "cm"})


def tolerance(**fields: float | None) -> Change:
    def change(raw: Json) -> None:
        known = raw["golden"]["tolerance"]["fp32"]
        known.update(fields)
        raw["golden"]["tolerance"]["fp32"] = {name: value for name, value in known.items() if value is not None}

    return change


@pytest.mark.parametrize("name", ["egfr", "probability", "grades", "apart"])
def test_manifests_of_every_kind_of_head_make_sense(manifests: dict[str, str], name: str) -> None:
    assert defects(manifests[name]) == []


def test_a_length_with_ranges_of_its_own_beside_the_egfr_makes_sense(manifests: dict[str, str]) -> None:
    def change(raw: Json) -> None:
        ranges = {"boundaries": [9.0, 12.0], "categories": ["short", "usual", "long"]}
        raw["heads"].append({**OTHER_HEAD, **ranges, "name": "length", "output": "length_members"})
        add_output("length_members", "members", [3])(raw)
        tolerance(length_members=0.1)(raw)
        raw["parity"] = []

    assert defects(manifests["egfr"], change) == []


@pytest.mark.parametrize(
    ("model", "change", "told"),
    [
        ("egfr", head(1, name="egfr"), "two heads are named egfr"),
        ("egfr", head(1, output="egfr_members"), "two heads name the output egfr_members"),
        ("egfr", lambda raw: raw["heads"].reverse(), "gives an eGFR but is not the first"),
        ("egfr", head(output="egfr"), "the head egfr needs an output egfr that means members"),
        ("egfr", head(output="features"), "the head egfr needs an output features that means members"),
        ("egfr", head(map="cam"), "the head egfr needs an output cam that means map"),
        ("egfr", head(map="features"), "the head egfr needs an output features that means map"),
        ("egfr", head(map=None), "no head names the output egfr_map"),
        ("egfr", head(unit="mL/min"), "gives an eGFR in mL/min instead of mL/min/1.73 m2"),
        ("egfr", head(unit="mL/min"), "the head egfr is in mL/min and its output in mL/min/1.73 m2"),
        ("egfr", output(unit=""), "and its output in no unit"),
        ("egfr", head(boundaries=[60.0], categories=["a", "b"]), "has categories of its own beside KDIGO's"),
        ("egfr", head(lowest=None), "lets an eGFR be negative"),
        ("egfr", head(lowest=-1.0), "lets an eGFR be negative"),
        ("egfr", head(quantity="other", boundaries=[60.0], categories=["a"]), "not one category more than boundaries"),
        ("egfr", head(quantity="other", boundaries=[60.0]), "not one category more than boundaries"),
        ("egfr", head(quantity="other", boundaries=[3, 3], categories=["a", "b", "c"]), "boundaries .* do not rise"),
        ("egfr", band(edges=[30]), "the interval of the head egfr has not one band more than edges"),
        ("egfr", band(edges=[60, 30]), "do not rise in the head egfr"),
        ("egfr", band(low=[50, -20, -5]), "lower end lies above its upper end in the head egfr"),
        ("egfr", lambda raw: raw["heads"].append({**BRIGHT_HEAD, "quantity": "egfr_below_60"}), "two heads give the"),
        ("egfr", lambda raw: raw["heads"].append({**raw["heads"][0], "name": "egfr_2"}), "the quantity egfr$"),
        ("egfr", output(shape=[2]), r"egfr_members has the shape \(2,\) instead of \(3,\)"),
        ("egfr", output(3, shape=[8]), r"egfr_map has the shape \(8,\) instead of \(h, w\)"),
        ("egfr", output(3, shape=[2, 8, 8]), r"egfr_map has the shape \(2, 8, 8\) instead of \(h, w\)"),
        ("egfr", output(2, shape=[3, 4]), r"features has the shape \(3, 4\), which features cannot have"),
        ("egfr", output(2, shape=[]), r"features has the shape \(\), which features cannot have"),
        ("egfr", output(3, shape=[8, 0]), r"the shape \(8, 0\), which map cannot have"),
        ("egfr", add_output("more", "features", [4]), "two outputs mean features"),
        ("egfr", add_output("features", "features", [12]), "two outputs are named features"),
        ("egfr", add_output("spare", "members", [3]), "no head names the output spare"),
        ("egfr", add_output("spare", "grade_members", [3, 2]), "no head names the output spare"),
        ("grades", output(shape=[3]), r"has the shape \(3,\) instead of \(3, 4\)"),
        ("grades", output(shape=[3, 5]), r"has the shape \(3, 5\) instead of \(3, 4\)"),
        ("grades", output(meaning="members"), "needs an output echogenicity_members that means grade_members"),
        ("grades", output(2, shape=[8, 8]), r"has the shape \(8, 8\) instead of \(4, h, w\)"),
        ("grades", output(2, shape=[3, 8, 8]), r"has the shape \(3, 8, 8\) instead of \(4, h, w\)"),
        ("egfr", tolerance(egfr_members=None), "no tolerance for fp32 of egfr_members$"),
        ("egfr", tolerance(egfr_map=None), "no tolerance for fp32 of egfr_map$"),
        ("egfr", tolerance(cam=1.0), "a tolerance for cam, which is no output"),
        ("egfr", lambda raw: raw["golden"]["tolerance"].pop("fp32"), "for fp32 of egfr_members, egfr_map, p_egfr"),
        ("egfr", lambda raw: raw["parity"][0]["heads"].pop(), "parity of fp32 for any is not that of the heads"),
        ("apart", artifact(1, member=2), "artifacts of the members 0, 2, 2 of 0 to 2 at fp32 for any"),
        ("apart", artifact(2, member=3), "artifacts of the members 0, 1, 3 of 0 to 2 at fp32 for any"),
        ("apart", lambda raw: raw["artifacts"].pop(0), "artifacts of the members 1, 2 of 0 to 2"),
        ("apart", artifact(0, member=None), "a fused artifact and single members at fp32 for any"),
        ("apart", artifact(3, precision="fp32", family="any"), "a fused artifact and single members"),
        ("apart", output(2, shape=[13]), "the 13 features of features cannot be those of 3 members"),
        ("egfr", lambda raw: raw["artifacts"].append({**raw["artifacts"][0], "file": "b.onnx"}), "there are two artif"),
        ("egfr", artifact(file="card.md"), r"card\.md is listed twice"),
        ("egfr", artifact(file="manifest.json"), r"manifest\.json lists itself"),
    ],
)
def test_what_makes_no_sense_is_told(manifests: dict[str, str], model: str, change: Change, told: str) -> None:
    assert [defect for defect in defects(manifests[model], change) if re.search(told, defect)] != []


def test_a_bundle_that_makes_no_sense_does_not_open(tmp_path: Path) -> None:
    wrong = {**MODELS["egfr"].heads[0], "unit": "mg/dL", "lowest": None}
    path = write_bundle(tmp_path / "b", BundlePlan(changes={"heads": [wrong, MODELS["egfr"].heads[1]]}))
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    assert "an eGFR in mg/dL instead of mL/min/1.73 m2; the head egfr lets an eGFR be negative" in caught.value.sentence
    assert caught.value.cure.startswith("convert the model again")
