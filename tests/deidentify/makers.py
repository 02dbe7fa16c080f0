"""Recordings with an invented patient in them: in the screen, in the image, in the header."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from edge_app.capture.base import Frame
from edge_app.capture.open import open_source

Picture = NDArray[np.uint8]
NAME, NUMBER, BORN = "ZYXWOWSKI", "QX7734190", "19431107"
BURNED = "ZYXWOWSKI, ANN"
BAND = (280, 330)  # rows of the image where the name stands
PLACE = (330, 315)


@lru_cache(maxsize=8)
def phantom(look: str = "ge", frames: int = 3, size: str = "960x720") -> tuple[Frame, ...]:
    """Return frames of a phantom, whose header names an invented patient."""
    with open_source(f"phantom:look={look},size={size},seed=3,fps=10,cycle=live,frames={frames}") as source:
        return tuple(frame for frame in islice(iter(source.read, None), frames) if isinstance(frame, Frame))


def burned(pixels: Picture, text: str = BURNED, at: tuple[int, int] = PLACE, grey: int = 255) -> Picture:
    """Return a copy with words over the tissue, outlined in black as scanners do."""
    copy = np.array(pixels)
    for colour, thick in (((0, 0, 0), 4), ((grey,) * 3, 2)):
        cv2.putText(copy, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, thick, cv2.LINE_AA)
    return copy


def write_clip(path: Path, pictures: Iterable[Picture], fps: int = 5) -> Path:
    """Write a clip that carries the patient's name as its title too."""
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["title"] = f"{NAME} {NUMBER}"
        container.metadata["comment"] = BORN
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "14"}
        for number, pixels in enumerate(pictures):
            if not number:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def dataset(pixels: NDArray[np.generic], photometric: str = "RGB") -> FileDataset:
    """Return a file of frames (N, H, W[, 3]) with an invented patient in the usual places."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.840.99999.7734190.3")
    meta.SourceApplicationEntityTitle = NUMBER
    found = FileDataset("", {}, file_meta=meta, preamble=(NAME.encode() * 20)[:128])
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.StudyInstanceUID, found.SeriesInstanceUID = "1.2.840.99999.7734190.1", "1.2.840.99999.7734190.2"
    found.PatientName, found.PatientID, found.PatientBirthDate = f"{NAME}^ANN", NUMBER, BORN
    found.StudyDate, found.StudyTime, found.Modality = "20240229", "101500", "US"
    found.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", NAME]
    found.Manufacturer, found.ManufacturerModelName = "ACME", "Scan 5"
    found.NumberOfFrames, found.Rows, found.Columns = pixels.shape[:3]
    found.FrameTime = "100"
    found.FrameIncrementPointer = 0x00181063
    found.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        found.PlanarConfiguration = 0
    found.PhotometricInterpretation = photometric
    found.BitsAllocated = found.BitsStored = 8 * pixels.dtype.itemsize
    found.HighBit, found.PixelRepresentation = found.BitsStored - 1, 0
    found.PixelData = pixels.tobytes()
    return found


def region(x0: int, y0: int, x1: int, y1: int) -> Dataset:
    """Return the description of an image region, ends included as the standard has it."""
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 0.02
    return item


def said_in(data: bytes, *secrets: str) -> list[str]:
    """Return which of the secrets stand in the bytes of a file, in any encoding that text may have there."""
    forms = {secret: {case.encode(code) for case in (secret, secret.lower(), secret.title())
                      for code in ("latin-1", "utf-16-le", "utf-16-be")} for secret in secrets}  # fmt: skip
    return [secret for secret, found in forms.items() if any(form in data for form in found)]
