"""What a session needs of CUDA, whichever library gives it; ``engines._cuda`` opens it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.errors import InferenceError

Host = NDArray[np.uint8]  # pinned memory, as bytes


class CudaError(InferenceError):
    """A call of CUDA failed."""

    def __init__(self, call: str, because: str) -> None:
        super().__init__(
            "The GPU cannot be used",
            f"{call} failed ({because})",
            "close other programs that use the GPU, start this one again and run `echogfr doctor --self-test`",
        )


class Cuda(Protocol):
    """One GPU, used by one thread. ``name``: the layer and its version; ``captures``: it can record graphs.

    Every method raises ``CudaError``; all but ``start`` and ``close`` are called inside of ``current()``.
    """

    @property
    def name(self) -> str: ...

    @property
    def captures(self) -> bool: ...

    @property
    def stream(self) -> int: ...

    def start(self) -> None: ...

    def current(self) -> AbstractContextManager[None]: ...

    def allocate(self, size: int) -> int: ...

    def pin(self, size: int) -> Host: ...

    def upload(self, address: int, host: Host) -> None: ...

    def download(self, host: Host, address: int) -> None: ...

    def synchronise(self) -> None: ...

    def capture(self, act: Callable[[], None]) -> Graph | None: ...

    def close(self) -> None: ...


class Graph(Protocol):
    """Work that was recorded once and is launched as a whole."""

    def launch(self) -> None: ...

    def free(self) -> None: ...
