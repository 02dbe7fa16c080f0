"""Reads checkpoints of torch without running anything in them, and says all that is wrong with one."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

State = dict[str, NDArray[np.float32]]
Shape = tuple[int, ...]

COUNTER = ".num_batches_tracked"  # written since torch 0.4.1, and of no use for inference
WRAPPINGS = ("state_dict", "model_state_dict", "model")  # what training programs put weights under, beside others
LARGEST = 4 << 30  # bytes: ten times the largest network that is known here
SHOWN = 3  # names in a message; the rest is counted


class DefectError(ValueError):
    """What is wrong with one file, in words that follow its name."""


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, counters of batches left out.

    The file is torch's legacy format (0.2, before zip files) or a newer one; ``weights_only`` refuses everything in
    it but tensors and plain values. Weights may lie under ``state_dict`` or ``model``, beside anything else.

    Raises
    ------
    DefectError
        It cannot be read, or holds something else than weights by name.
    """
    loaded = _unwrapped(_load(path))
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    if len(tensors) < len(loaded):
        raise DefectError(
            f"holds something else than tensors: {some([str(n) for n in loaded if str(n) not in tensors])}"
        )
    return {name: value for name, value in tensors.items() if not name.endswith(COUNTER)}


def matched(state: Mapping[str, torch.Tensor], wanted: Mapping[str, Shape]) -> State:
    """Return the arrays of all ``wanted`` names: float32, all finite.

    Raises
    ------
    DefectError
        Names, shapes or values are not those of the network; all in one message.
    """
    defects = [*_name_defects(state, wanted), *_shape_defects(state, wanted)]
    if defects:
        raise DefectError("; ".join(defects))
    arrays = {name: _array(state[name]) for name in wanted}
    broken = [name for name, array in arrays.items() if not np.all(np.isfinite(array))]
    broken += [name for name, array in arrays.items() if name.endswith("running_var") and np.any(array < 0)]
    if broken:
        raise DefectError(f"holds values that no trained network has, in {some(broken)}")
    return arrays


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _load(path: Path) -> object:
    if not path.stat().st_size:
        raise DefectError("is empty")
    unpacked = _unpacked(path)
    if unpacked > LARGEST:
        raise DefectError(f"unpacks to {unpacked >> 20} MB and {LARGEST >> 20} are the most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of strange pickles before it refuses them
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DefectError("is refused: it is no file of plain tensors or it is cut short") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        # what torch's reader raises on damaged files: it documents none of them
        cause = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DefectError(f"cannot be read ({cause}): it is cut short or no checkpoint") from error


def _unpacked(path: Path) -> int:
    """Return the bytes that a file holds; of a zip archive, as torch writes them, those that it says it unpacks to."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # the older format, or damaged: torch says which
        return path.stat().st_size


def _unwrapped(loaded: object) -> Mapping[object, object]:
    for wrapping in WRAPPINGS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapping), Mapping):
            loaded = loaded[wrapping]
    if not isinstance(loaded, Mapping):
        raise DefectError(f"holds {type(loaded).__name__} instead of weights by name")
    return loaded


def _name_defects(state: Mapping[str, torch.Tensor], wanted: Mapping[str, Shape]) -> list[str]:
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    defects = [f"lacks {some(missing)}"] if missing else []
    return [*defects, *([f"has {some(extra)} too much"] if extra else [])]


def _shape_defects(state: Mapping[str, torch.Tensor], wanted: Mapping[str, Shape]) -> list[str]:
    common = [name for name in wanted if name in state]
    wrong = [name for name in common if tuple(state[name].shape) != wanted[name]]
    kinds = [name for name in common if not state[name].is_floating_point()]
    defects = [f"has {kinds[0]} as {state[kinds[0]].dtype} instead of float"] if kinds else []
    if wrong:
        name = wrong[0]
        more = f" and {len(wrong) - 1} other shapes differ" if len(wrong) > 1 else ""
        defects.append(f"has {name} as {tuple(state[name].shape)} instead of {wanted[name]}{more}")
    return defects


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().to(torch.float32).numpy())
