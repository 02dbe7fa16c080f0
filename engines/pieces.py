"""Crops in pieces, where there are more than a runtime takes at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.session import Outputs
from engines.tensors import check_finite


def in_pieces(
    run: Callable[[NDArray[np.uint8]], Outputs], crops: NDArray[np.uint8], largest: int | None, runtime: str
) -> Outputs:
    """Run ``uint8 (N, H, W, 3)`` crops, at most ``largest`` at once (None: any number), and return one answer.

    ``run`` returns arrays that nobody else has, one row a crop.

    Raises
    ------
    InferenceError
        A value is not finite.
    """
    most = largest or len(crops)
    pieces = [run(crops[at : at + most]) for at in range(0, len(crops), most)]
    outputs = pieces[0] if len(pieces) == 1 else _stack(pieces)
    for name, array in outputs.items():
        check_finite(name, array, runtime)
    return outputs


def _stack(pieces: list[Outputs]) -> Outputs:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
