"""TensorSpec, and the check that explains a mismatch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.errors import InferenceError, TensorMismatchError
from engines.manifest import BundleManifest, OutputSpec

Dim = int | None  # None: any length of at least one


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and shape of a tensor, with the batch axis; ``None`` is any length >= 1."""

    name: str
    dtype: str  # numpy's name: "uint8", "float32"
    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {_text(self.shape)}"


def input_spec(manifest: BundleManifest) -> TensorSpec:
    """Return what the model's one input must be: uint8 (N, H, W, 3)."""
    spec = manifest.input
    return TensorSpec(spec.name, "uint8", (None, spec.height, spec.width, 3))


def blank(spec: TensorSpec, count: int = 1) -> NDArray[np.uint8]:
    """Return zeros of this shape, so many crops; the shape's batch axis is left open."""
    return np.zeros([count if length is None else length for length in spec.shape], np.uint8)


def output_specs(manifest: BundleManifest, members: int | None = None) -> tuple[TensorSpec, ...]:
    """Return what each output must be: float32 (N, ...); of so many members alone, or of all (None)."""
    count = manifest.members if members is None else members
    return tuple(
        TensorSpec(output.name, "float32", (None, *_shape(output, count, manifest.members)))
        for output in manifest.outputs
    )


def _shape(output: OutputSpec, members: int, of: int) -> tuple[int, ...]:
    """Return the shape, without batch, of an output for some of the members; a map has no axis of members."""
    if output.meaning == "map":
        return output.shape
    return (output.shape[0] * members // of, *output.shape[1:])


def matches(spec: TensorSpec, dtype: str, shape: Sequence[int]) -> bool:
    """Tell whether an array's dtype and shape are those of a spec."""
    if dtype != spec.dtype or len(shape) != len(spec.shape):
        return False
    return all(want is None or want == have for want, have in zip(spec.shape, shape, strict=True))


def accepts(spec: TensorSpec, dtype: str, declared: Sequence[Dim]) -> bool:
    """Tell whether a graph's declaration (``None``: left open) serves a spec; a fixed batch does not."""
    if dtype != spec.dtype or len(declared) != len(spec.shape):
        return False
    return all(have is None or want == have for want, have in zip(spec.shape, declared, strict=True))


def declaration_defects(
    crops: TensorSpec, outputs: Sequence[TensorSpec], inputs: Sequence[TensorSpec], given: Sequence[TensorSpec]
) -> list[str]:
    """Return in which ways the inputs and outputs that a model declares are not what its manifest says."""
    defects = []
    if [spec.name for spec in inputs] != [crops.name]:
        defects.append(f"its inputs are {', '.join(spec.name for spec in inputs)} instead of '{crops.name}' alone")
    elif not accepts(crops, inputs[0].dtype, inputs[0].shape):
        defects.append(f"the input '{crops.name}' is {inputs[0]} instead of {crops}")
    declared = {spec.name: spec for spec in given}
    for spec in outputs:
        found = declared.get(spec.name)
        if found is None:
            defects.append(f"there is no output '{spec.name}'")
        elif not accepts(spec, found.dtype, found.shape):
            defects.append(f"the output '{spec.name}' is {found} instead of {spec}")
    return defects


def check_input(spec: TensorSpec, array: NDArray[np.uint8]) -> None:
    """Check an array that is about to go into a session.

    Raises
    ------
    TensorMismatchError
        Wrong dtype, wrong shape or an empty batch; the sentence says which.
    """
    if not isinstance(array, np.ndarray):
        raise _mismatch(spec, f"is a {type(array).__name__}")
    if not matches(spec, array.dtype.name, array.shape):
        raise _mismatch(spec, f"is {array.dtype.name} {_text(array.shape)}")
    if array.shape[0] < 1:
        raise _mismatch(spec, "holds no crop")


def check_finite(name: str, array: NDArray[np.float32], runtime: str) -> None:
    """Check that an output holds neither NaN nor infinity.

    Raises
    ------
    InferenceError
        It does; such an output must never become a number on a screen.
    """
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise InferenceError(
            "The model gave no usable answer",
            f"{bad} of {array.size} values of '{name}' from {runtime} are not finite",
            "choose another precision or runtime and run the self-test",
        )


def _mismatch(spec: TensorSpec, because: str) -> TensorMismatchError:
    return TensorMismatchError(
        "The crop cannot be read", f"'{spec.name}' {because} instead of {spec}", "prepare it with engines.preprocess"
    )


def _text(shape: Sequence[Dim]) -> str:
    return f"({', '.join('N' if length is None else str(length) for length in shape)})"
