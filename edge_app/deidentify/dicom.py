"""DICOM files: masked in the form in which their pixels are stored, without loss, and with a clean header."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_app.atomic import explained, replacing
from edge_app.capture.base import Frame, frames
from edge_app.capture.dicom import DicomSource, library
from edge_app.deidentify.area import redactor_for
from edge_app.deidentify.attributes import IMAGES
from edge_app.deidentify.header import cleaned, declare
from edge_app.deidentify.plan import RefusedFileError, Rules, Tick
from edge_app.deidentify.watch import Watch
from edge_app.imaging._ocr import Box
from edge_app.imaging.redact import Redactor
from engines.version import program_version

if TYPE_CHECKING:
    from types import ModuleType

    from pydicom import Dataset

Stored = NDArray[np.generic]
BITS = (8, 16)  # allocated for a sample


def write_dicom(original: Path, path: Path, rules: Rules, tick: Tick) -> tuple[Redactor, int, int]:
    """Write a masked copy of a DICOM image; returns what was kept, the frames, and how many attributes went.

    Raises
    ------
    RefusedFileError, ResidueError, SourceError
        The file holds no picture that can be masked, words remain in it, or it is damaged.
    """
    what = f"{original} is not written"
    dataset = _read(original, what)
    redactor, count = redactor_for(_frames(original), rules, what, tick)
    checked = redactor.reads
    with _boundary(what):
        copy, removed = cleaned(dataset, rules, lambda box: _shown(redactor, box), library())
        copy.SOPClassUID = dataset.SOPClassUID
        declare(copy, rules, f"EchoGFR {program_version()}", checked, library())
    pixels = _Pixels(dataset, original, what)
    watch = Watch(redactor, count, what)
    while watch.again():
        pixels.mask(redactor, watch, tick)
    with _boundary(what):
        pixels.put(copy)
    with replacing(path) as unfinished, explained(path), _boundary(what):
        library().dcmwrite(unfinished, copy, enforce_file_format=True)
    return redactor, count, removed


def _read(path: Path, what: str) -> Dataset:
    pydicom = library()
    with _boundary(what):
        dataset: Dataset = pydicom.dcmread(path)
        kind, bits, signed = (
            dataset.get("SOPClassUID"),
            dataset.get("BitsAllocated"),
            dataset.get("PixelRepresentation"),
        )
        holds = "PixelData" in dataset
    if not isinstance(kind, str) or kind not in IMAGES:
        name = " ".join(str(getattr(kind, "name", "")).split()) or "of no known kind"
        cure = "keep it apart: it may name the patient anywhere"
        raise RefusedFileError("no-picture", what, f"it is no ultrasound picture ({name})", cure)
    if not holds or bits not in BITS or signed:
        cure = "export it again as an ultrasound image of 8 bits"
        raise RefusedFileError("no-picture", what, "it holds no pixels of a kind that can be masked", cure)
    return dataset


class _Pixels:
    """The pixels of a file, masked, frame by frame in the bytes of the copy."""

    def __init__(self, dataset: Dataset, path: Path, what: str) -> None:
        self._dataset = dataset
        self._path = path
        self._what = what
        self._colour = int(dataset.get("SamplesPerPixel", 1)) > 1
        self._stored_bits = int(dataset.get("BitsStored") or 8)
        self._compressed = bool(dataset.file_meta.TransferSyntaxUID.is_compressed)
        self._parts: list[bytes] = []
        with _boundary(what):
            self._black = 0 if self._colour else _black(dataset, self._stored_bits)

    def mask(self, redactor: Redactor, watch: Watch, tick: Tick) -> None:
        """Mask and encode all frames, as far as no words are found in them."""
        self._parts = []
        stored = iter(library().pixels.iter_pixels(self._path))
        for frame in _frames(self._path):
            watch.masked(frame.index, frame.t_ms, frame.pixels)
            with _boundary(self._what):
                picture = next(stored)
                if not watch.stained:
                    self._parts.append(self._encoded(self._masked(picture, redactor)))
            tick()

    def _masked(self, picture: Stored, redactor: Redactor) -> NDArray[np.uint8] | NDArray[np.uint16]:
        keep = redactor.keep[:, :, None] if picture.ndim == 3 else redactor.keep
        # Bits over those of a sample may hold an overlay, which may hold words.
        samples = picture.astype(np.uint16) & np.uint16((1 << self._stored_bits) - 1)
        masked: NDArray[np.uint16] = np.where(keep, samples, np.uint16(self._black))
        return masked.astype(np.uint8) if self._dataset.BitsAllocated == 8 else masked.astype(np.dtype("<u2"))

    def _encoded(self, picture: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
        if not self._compressed:
            return picture.tobytes()
        pydicom = library()
        encoder = pydicom.pixels.get_encoder(pydicom.uid.RLELossless)
        encoded: bytes = encoder.encode(
            picture,
            rows=picture.shape[0],
            columns=picture.shape[1],
            samples_per_pixel=3 if self._colour else 1,
            number_of_frames=1,
            bits_allocated=self._dataset.BitsAllocated,
            bits_stored=self._stored_bits,
            pixel_representation=0,
            photometric_interpretation=self._photometric,
            **({"planar_configuration": 0} if self._colour else {}),
        )
        return encoded

    @property
    def _photometric(self) -> str:
        return "RGB" if self._colour else str(self._dataset.PhotometricInterpretation)

    def put(self, copy: Dataset) -> None:
        """Add the pixels and what describes them to ``copy``, and its file meta information."""
        pydicom = library()
        copy.PhotometricInterpretation = self._photometric
        if self._colour:
            copy.PlanarConfiguration = 0
        if self._dataset.file_meta.TransferSyntaxUID in _lossy(pydicom):
            copy.LossyImageCompression = "01"
        meta = copy.file_meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = copy.SOPClassUID, copy.SOPInstanceUID
        meta.ImplementationVersionName = "ECHOGFR"
        if self._compressed:
            meta.TransferSyntaxUID = pydicom.uid.RLELossless
            copy.PixelData = pydicom.encaps.encapsulate(self._parts)
        else:
            meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            data = b"".join(self._parts)
            copy.PixelData = data + b"\0" * (len(data) % 2)
        copy["PixelData"].VR = "OW" if self._dataset.BitsAllocated > 8 else "OB"


def _lossy(pydicom: ModuleType) -> tuple[object, ...]:
    uid = pydicom.uid
    return (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000)


def _black(dataset: Dataset, bits: int) -> int:
    """Return the stored value of the darkest colour."""
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "MONOCHROME1":
        return (1 << bits) - 1
    if photometric != "PALETTE COLOR":
        return 0
    values = np.arange(1 << bits, dtype=np.uint16)[None, :]
    colours = library().pixels.apply_color_lut(values, dataset)[0, :, :3]
    return int(np.argmin(colours.astype(np.int64).sum(axis=1)))


def _shown(redactor: Redactor, box: Box) -> bool:
    x0, y0, x1, y1 = box
    return bool(redactor.keep[max(0, y0) : max(0, y1 + 1), max(0, x0) : max(0, x1 + 1)].any())


def _frames(path: Path) -> Iterator[Frame]:
    with DicomSource(path) as source:
        yield from frames(source)


@contextmanager
def _boundary(what: str) -> Iterator[None]:
    """Turn whatever a damaged file makes pydicom or a decoder raise into one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of scanners bend the standard in a hundred harmless ways
            yield
    except (RefusedFileError, OSError, MemoryError):
        raise
    except Exception as error:  # boundary to a foreign file: values are parsed late, errors share no base
        because = f"it is damaged ({(str(error).splitlines() or [type(error).__name__])[0].rstrip('.:')})"
        raise RefusedFileError("unreadable", what, because, "export it again") from error
