"""The one door to pyigtl: reads the messages of OpenIGTLink. Its own client is not used, for it starts threads."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import SourceError

try:
    from pyigtl.messages import ImageMessage, MessageBase
except ImportError as error:
    what, cure = "OpenIGTLink cannot be read", "install it with: pip install 'echogfr[igtl]'"
    raise SourceError(what, f"pyigtl is not usable here ({error})", cure) from error

HEADER_BYTES = int(MessageBase.IGTL_HEADER_SIZE)


class BadMessage(Exception):
    """What came is no message of OpenIGTLink, or no picture that we can show; the text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """Of one message: what follows, from which device, when it was made (seconds since 1970), how long it is."""

    kind: str
    device: str
    time_s: float
    body_bytes: int
    fields: dict[str, object]  # as pyigtl wants them back


def header(data: bytes) -> Header:
    """Read a header; raises ``BadMessage``."""
    try:
        fields = MessageBase.parse_header(data)
    except (struct.error, UnicodeDecodeError) as error:
        raise BadMessage("it does not speak OpenIGTLink") from error
    if fields["header_version"] not in (1, 2):
        raise BadMessage("it does not speak OpenIGTLink")
    return Header(
        str(fields["message_type"]), str(fields["device_name"]), float(fields["timestamp"]), fields["body_size"], fields
    )


def picture(head: Header, body: bytes) -> NDArray[np.uint8]:
    """Return an IMAGE's first slice as uint8 (H, W, 3) RGB, rows and columns as they were sent.

    PLUS sends ultrasound in the orientation MF: the first row lies at the probe and the first column at the side
    without the marker, which is how a screen shows it.

    Raises
    ------
    BadMessage
        The body is damaged, or its pixels are not 8 bits of grey, RGB or RGBA.
    """
    message = ImageMessage()
    try:
        message.unpack(head.fields, body)
    except (struct.error, ValueError, KeyError, IndexError, NotImplementedError, UnicodeDecodeError) as error:
        raise BadMessage("its picture is damaged or in parts") from error
    voxels = np.asarray(message.image)
    if voxels.dtype != np.uint8:
        raise BadMessage(f"its pixels are {voxels.dtype}, not 8 bits")
    plane = voxels[0] if voxels.ndim >= 3 and voxels.shape[0] else voxels
    if plane.ndim == 2:
        return np.repeat(plane[:, :, None], 3, axis=2)
    if plane.ndim == 3 and plane.shape[2] in (3, 4):
        return plane[:, :, :3]
    raise BadMessage(f"its pixels have {plane.shape[-1]} values, not 1, 3 or 4")
