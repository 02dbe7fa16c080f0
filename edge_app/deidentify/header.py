"""Header: the attributes of a DICOM copy, by DICOM PS3.15 annex E; the original is only read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edge_app.deidentify.attributes import (
    DATES,
    EMPTY,
    IMAGE_TYPE,
    MAKERS,
    METHODS,
    NUMBERED,
    NUMBERS,
    TABLES,
    TERMS,
    TIMES,
    UIDS,
)
from edge_app.deidentify.plan import Rules
from edge_app.imaging._ocr import Box

if TYPE_CHECKING:
    from types import ModuleType

    from pydicom import Dataset
    from pydicom.dataelem import DataElement

WORD = re.compile(r"[^\W_]{3,}")
MAKER = re.compile(
    r"[\w .,:/()&+-]{1,64}"
)  # as LO is: what is longer or holds other signs has swallowed its neighbours
TIME = re.compile(r"\d{2,6}(\.\d{1,6})?")
Shown = Callable[[Box], bool]


def cleaned(original: Dataset, rules: Rules, shown: Shown, pydicom: ModuleType) -> tuple[Dataset, int]:
    """Return the attributes that a copy may have, without pixels, and how many of the original's went.

    ``shown`` tells of a box of the picture whether something of it is kept: only such regions are described.
    """
    copy: Dataset = pydicom.Dataset()
    copy.SpecificCharacterSet = "ISO_IR 192"
    kept = _keep(original, copy, pydicom)
    kept += _keep_types(original, copy) + _keep_makers(original, copy)
    kept += _keep_regions(original, copy, shown, pydicom)
    for keyword in (*EMPTY, *(name for name in NUMBERED if name not in copy)):
        setattr(copy, keyword, None)
    if not {"Laterality", "ImageLaterality"} & {element.keyword for element in copy}:
        copy.Laterality = None
    _rename(original, copy, rules)
    if rules.dates == "shift":
        kept += _shift(original, copy, rules.pseudonyms.days(_patient(original)))
    return copy, max(0, sum(1 for _ in original.iterall()) - kept)


def declare(copy: Dataset, rules: Rules, program: str, checked: bool, pydicom: ModuleType) -> None:
    """Say what was done to the file, and no more: only ``checked`` pixels are called free of identity."""
    methods = ["profile", *(["pixels"] if checked else []), *(["dates"] if rules.dates == "shift" else [])]
    copy.PatientIdentityRemoved = "YES" if checked else "NO"
    copy.BurnedInAnnotation = "NO" if checked else "YES"
    copy.DeidentificationMethod = [
        program,
        "DICOM PS3.15 2026c annex E",
        "words in the image looked for by OCR" if checked else "words in the image not looked for",
    ]
    copy.DeidentificationMethodCodeSequence = [_code(*METHODS[name], pydicom) for name in methods]
    copy.LongitudinalTemporalInformationModified = "MODIFIED" if rules.dates == "shift" else "REMOVED"


def _code(value: str, meaning: str, pydicom: ModuleType) -> Dataset:
    item: Dataset = pydicom.Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _keep(original: Dataset, copy: Dataset, pydicom: ModuleType) -> int:
    """Copy numbers, terms and colour tables, each read and written anew; returns how many."""
    before = len(copy)
    for element in _readable(original):
        if element.keyword in NUMBERS:
            value = _numbers(element, pydicom)
        elif element.keyword in TERMS:
            value = element.value if element.value in TERMS[element.keyword] else None
        elif element.keyword in TABLES:
            value = _table(original, element)
        else:
            continue
        if value is not None:
            copy.add_new(element.tag, element.VR, value)
    return len(copy) - before


def _readable(dataset: Dataset) -> Iterator[DataElement]:
    for tag in list(dataset.keys()):
        try:
            yield dataset[tag]
        except Exception:  # noqa: BLE001 - boundary to a foreign file: a value that cannot be parsed is not kept
            continue


def _numbers(element: DataElement, pydicom: ModuleType) -> object | None:
    """Return the values as numbers of their VR; None where one is none."""
    values = element.value if element.VM > 1 else [element.value]
    try:
        if element.VR == "DS":
            numbers = [float(value) for value in values]
            good = all(math.isfinite(number) for number in numbers)
            found = [pydicom.valuerep.DSfloat(number, auto_format=True) for number in numbers] if good else []
        elif element.VR in ("FD", "FL"):
            found = [float(value) for value in values]
        else:
            found = [int(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    if not found:
        return None
    return found if len(found) > 1 else found[0]


def _table(original: Dataset, element: DataElement) -> bytes | None:
    """Return a colour table that the pixels need, where it is as long as its descriptor says (PS3.3 C.7.6.3.1.5)."""
    described = original.get(element.keyword.replace("Data", "Descriptor"))
    if original.get("PhotometricInterpretation") != "PALETTE COLOR" or not described or len(described) != 3:
        return None
    entries, _, bits = (int(number) for number in described)
    table = element.value
    fits = isinstance(table, bytes) and len(table) == (entries or 1 << 16) * (bits // 8)
    return table if fits else None


def _keep_types(original: Dataset, copy: Dataset) -> int:
    given = original.get("ImageType") or ()
    values = [given] if isinstance(given, str) else [str(value) for value in given]
    known = [value if value in terms else "" for value, terms in zip(values, IMAGE_TYPE, strict=False)]
    kind = [*known, "", ""][: max(2, len(known))]
    copy.ImageType = ["DERIVED", kind[1] or "SECONDARY", *kind[2:]]  # pixels of it were overwritten
    return 1


def _keep_makers(original: Dataset, copy: Dataset) -> int:
    """Copy the maker and the model, but for what holds a word of anybody's name or of an identifier."""
    names = _names(original)
    kept = 0
    for keyword in MAKERS:
        text = str(original.get(keyword) or "")
        good = MAKER.fullmatch(text) is not None and not names & _words(text)
        if good or keyword == "Manufacturer":
            setattr(copy, keyword, text if good else "")
            kept += good
    return kept


def _names(original: Dataset) -> set[str]:
    words = _words(str(original.get("PatientID") or "")) | _words(str(original.get("AccessionNumber") or ""))
    for element in original.iterall():
        if element.VR == "PN":
            words |= _words(str(element.value))
    return words


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)}


def _keep_regions(original: Dataset, copy: Dataset, shown: Shown, pydicom: ModuleType) -> int:
    """Copy the descriptions of the regions of which something is shown."""
    items, kept = [], 0
    for item in original.get("SequenceOfUltrasoundRegions") or ():
        clean: Dataset = pydicom.Dataset()
        count = _keep(item, clean, pydicom)
        corners = [clean.get(f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if all(isinstance(corner, int) for corner in corners) and shown((corners[0], corners[1], *corners[2:])):
            items.append(clean)
            kept += count + 1
    if items:
        copy.SequenceOfUltrasoundRegions = items
    return kept


def _rename(original: Dataset, copy: Dataset, rules: Rules) -> None:
    """Put pseudonyms in place of the patient's identifiers and of UIDs."""
    names = rules.pseudonyms
    copy.PatientID = names.patient(_patient(original))
    copy.PatientName = f"ANONYMOUS^{copy.PatientID}"
    for keyword in UIDS:
        copy_of = str(original.get(keyword) or f"{keyword} of {_patient(original)}")
        setattr(copy, keyword, names.uid(copy_of))


def _patient(original: Dataset) -> str:
    """Return what tells one patient from another in the original."""
    parts = [str(original.get(keyword) or "") for keyword in ("PatientID", "IssuerOfPatientID")]
    if parts[0]:
        return "\0".join(parts)
    return str(original.get("PatientName") or original.get("StudyInstanceUID") or "")


def _shift(original: Dataset, copy: Dataset, days: int) -> int:
    """Copy dates, moved back, and times of day."""
    kept = 0
    for keyword in DATES:
        text = str(original.get(keyword) or "")
        moved = _moved(text, days)
        if moved:
            setattr(copy, keyword, moved)
            kept += 1
    for keyword in TIMES:
        text = str(original.get(keyword) or "")
        if TIME.fullmatch(text):
            setattr(copy, keyword, text)
            kept += 1
    return kept


def _moved(text: str, days: int) -> str:
    """Return a DA or DT value that lies ``days`` earlier; nothing where it is no date."""
    rest = text[8:]
    if rest and not TIME.fullmatch(rest.partition("+")[0].partition("-")[0]):
        return ""
    try:
        date = datetime.strptime(text[:8], "%Y%m%d")
        return (date - timedelta(days=days)).strftime("%Y%m%d").rjust(8, "0") + rest
    except (ValueError, OverflowError):
        return ""
