"""Takes over a graph: opened to a free batch, simplified, brought to the project's opset, cut before its pooling."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from convert.sources.cut import Cut, cut
from convert.sources.entrance import Size, with_planes
from convert.sources.onnx_file import check_operators
from convert.sources.opset import to_opset
from convert.sources.runner import simplified


def adopt(model: onnx.ModelProto, size: Size, outputs: Sequence[str], channels_last: bool = False) -> Cut:
    """Return trunk and endings of ``model``, which is left as it is; one of unknown origin was checked before.

    Raises
    ------
    DefectError
        It cannot be taken over; why is named.
    """
    simple = simplified(with_planes(model, size, channels_last))
    check_operators(simple)
    return cut(to_opset(simple), outputs)
