"""A small bundle with a real ONNX graph of a number, a probability and grades; any of them can be the main head.

All follow from the mean grey of the crop, so that a test can work them out by hand:

``shift``: (grey - 100) / 50 + (-0.1, 0.1), mm, not calibrated; ``bright``: sigmoid((grey - 60) / 40 + (-0.5, 0.5));
``echo``: softmax(-|grey - (0, 60, 240)| / 30), the same of both members.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx.checker
import onnx.parser
from numpy.typing import NDArray

from engines.domain import fit

SIDE = 64
CENTRES = (0.0, 60.0, 240.0)
GRADES = ("dark", "grey", "white")
Json = dict[str, Any]

HEADS: dict[str, Json] = {
    "regression": {
        "kind": "regression",
        "name": "shift",
        "title": "Cortical shift",
        "quantity": "other",
        "output": "shift_members",
        "map": "shift_map",
        "unit": "mm",
        "resolution": 0.1,
    },
    "probability": {
        "kind": "probability",
        "name": "bright",
        "title": "P(bright cortex)",
        "quantity": "other",
        "event": "bright cortex",
        "output": "bright_members",
        "map": "bright_map",
    },
    "grades": {
        "kind": "grades",
        "name": "echo",
        "title": "Cortical echogenicity",
        "output": "echo_members",
        "map": "echo_map",
        "grades": list(GRADES),
    },
}
OUTPUTS: dict[str, tuple[str, list[int], str]] = {
    "shift_members": ("members", [2], "mm"),
    "shift_map": ("map", [8, 8], "mm"),
    "bright_members": ("members", [2], "1"),
    "bright_map": ("map", [8, 8], "1"),
    "echo_members": ("grade_members", [2, 3], "1"),
    "echo_map": ("map", [3, 8, 8], "1"),
}


def answers(crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """What the graph says of uint8 (N, 64, 64, 3), by numpy."""
    real = crops.astype(np.float64)
    grey = real.mean(axis=(1, 2, 3))[:, None]
    cells = real.reshape(-1, 8, 8, 8, 8, 3).mean(axis=(2, 4, 5))
    raised = np.exp(-np.abs(grey - np.array(CENTRES)) / 30)
    grades = raised / raised.sum(axis=1, keepdims=True)
    said = {
        "shift_members": (grey - 100) / 50 + np.array([-0.1, 0.1]),
        "shift_map": cells,
        "bright_members": 1 / (1 + np.exp(-((grey - 60) / 40 + np.array([-0.5, 0.5])))),
        "bright_map": cells - 60,
        "echo_members": np.stack([grades, grades], axis=1),
        "echo_map": -np.abs(cells[:, None] - np.array(CENTRES)[:, None, None]),
    }
    return {name: value.astype(np.float32) for name, value in said.items()}


GRAPH = """
<ir_version: 8, opset_import: ["" : 13]>
small (uint8[N,64,64,3] crops) => (
  float[N,2] shift_members, float[N,8,8] shift_map,
  float[N,2] bright_members, float[N,8,8] bright_map,
  float[N,2,3] echo_members, float[N,3,8,8] echo_map
)
<
  int64[1] one = {1}, int64[4] cells_shape = {-1, 1, 8, 8}, int64[3] twice = {1, 2, 1},
  float hundred = {100.0}, float fifty = {50.0}, float sixty = {60.0}, float forty = {40.0}, float thirty = {30.0},
  float[1,2] tenths = {-0.1, 0.1}, float[1,2] halves = {-0.5, 0.5},
  float[1,3] centres = {0.0, 60.0, 240.0}, float[1,3,1,1] centres_of_cells = {0.0, 60.0, 240.0}
>
{
  real = Cast <to = 1> (crops)
  mean = ReduceMean <axes = [1, 2, 3], keepdims = 0> (real)
  grey = Unsqueeze (mean, one)
  planes = Transpose <perm = [0, 3, 1, 2]> (real)
  pooled = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (planes)
  shift_map = ReduceMean <axes = [1], keepdims = 0> (pooled)
  above = Sub (grey, hundred)
  parts = Div (above, fifty)
  shift_members = Add (parts, tenths)
  over = Sub (grey, sixty)
  quarters = Div (over, forty)
  logits = Add (quarters, halves)
  bright_members = Sigmoid (logits)
  bright_map = Sub (shift_map, sixty)
  off = Sub (grey, centres)
  far = Abs (off)
  scaled = Div (far, thirty)
  near = Neg (scaled)
  shares = Softmax <axis = -1> (near)
  row = Unsqueeze (shares, one)
  echo_members = Tile (row, twice)
  cells = Reshape (shift_map, cells_shape)
  off_cells = Sub (cells, centres_of_cells)
  far_cells = Abs (off_cells)
  echo_map = Neg (far_cells)
}
"""


def write_bundle(folder: Path, main: str) -> Path:
    """Write the bundle with this kind of head as its main one; its domain check lets every picture pass."""
    folder.mkdir(parents=True)
    crops = np.random.default_rng(5).integers(0, 200, (40, SIDE, SIDE, 3)).astype(np.uint8)

    def ref(name: str, content: bytes) -> Json:
        (folder / name).write_bytes(content)
        return {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}

    np.savez(folder / "golden.npz", crops=crops[:4], **answers(crops[:4]))
    fit(None, crops).save(folder / "domain.npz")
    model = onnx.parser.parse_model(GRAPH)
    onnx.checker.check_model(model)
    manifest = {
        "schema_version": 2,
        "bundle_id": f"small-{main}",
        "version": "1",
        "title": "Small",
        "created": "2026-11-27T00:00:00Z",
        "synthetic": True,
        "members": 2,
        "input": {"name": "crops", "height": SIDE, "width": SIDE, "crop_mode": "square"},
        "heads": [HEADS[main], *(head for kind, head in HEADS.items() if kind != main)],
        "outputs": [
            {"name": name, "meaning": meaning, "shape": shape, "unit": unit}
            for name, (meaning, shape, unit) in OUTPUTS.items()
        ],
        "artifacts": [{**ref("fp32.onnx", model.SerializeToString()), "precision": "fp32", "family": "any"}],
        "golden": {
            **ref("golden.npz", (folder / "golden.npz").read_bytes()),
            "tolerance": {"fp32": dict.fromkeys(OUTPUTS, 0.01)},
        },
        "domain": {**ref("domain.npz", (folder / "domain.npz").read_bytes()), "limit": 1e9, "basis": "test"},
        "card": ref("card.md", b"# Card\n"),
        "report": ref("parity.html", b"<html></html>"),
        "report_json": ref("parity.json", b"{}"),
        "parity": [],
        "training": {"recipe": "none", "data": "none", "patients": 0, "reproduce": "none"},
        "limits": ["Test only."],
        "tools": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
