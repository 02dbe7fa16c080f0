"""The one door to torchvision.

Beside PyTorch's CPU build the compiled operators of the torchvision wheel cannot be loaded, and its import fails on
registering shapes for two of them. Classification networks use neither, so where exactly that happens they are
declared without being implemented, and the import goes on.
"""

from __future__ import annotations

import re
from types import ModuleType

import torch

from engines.errors import UsageError

MISSING = re.compile(r"operator torchvision::\w+ does not exist")
DECLARED = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_library: list[torch.library.Library] = []  # torch forgets a declaration whose library is collected


def load_models() -> ModuleType:
    """Return ``torchvision.models``.

    Raises
    ------
    UsageError
        torchvision is not installed, or does not fit the installed torch.
    """
    try:
        return _import()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torchvision":
            raise
        raise _unusable("it is not installed", "pip install 'echogfr[convert]'") from error
    except (ImportError, RuntimeError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        cure = "install the torchvision that belongs to the installed torch"
        raise _unusable(f"its import fails ({cause})", cure) from error


def _import() -> ModuleType:
    try:
        from torchvision import models
    except RuntimeError as error:
        if _library or not MISSING.fullmatch(str(error)):
            raise
        _declare()
        from torchvision import models
    return models  # type: ignore[no-any-return]  # torchvision has no types


def _declare() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch leaves it untyped
    for name in DECLARED:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{SCHEMA}")  # type: ignore[no-untyped-call]
    _library.append(library)


def _unusable(because: str, cure: str) -> UsageError:
    return UsageError("torchvision cannot be used", because, cure)
