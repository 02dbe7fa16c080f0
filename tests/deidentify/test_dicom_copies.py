"""DICOM copies: nothing of the patient in any attribute at any depth, pixels masked without loss, honest flags."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import RLELossless, generate_uid

from edge_app.capture.dicom import DicomSource
from edge_app.deidentify.attributes import EMPTY, MAKERS, NUMBERS, TABLES, TERMS, UIDS
from edge_app.deidentify.dicom import write_dicom
from edge_app.deidentify.plan import RefusedFileError, Rules
from edge_app.deidentify.pseudonyms import Pseudonyms
from edge_app.imaging.redact import read_words
from engines.errors import EchoGFRError

from .makers import BORN, NAME, NUMBER, burned, dataset, phantom, region, said_in

SECRETS = (NAME, NUMBER, "7734190", BORN, "20240229")
AREA = (8, 6, 50, 40)
ENCODING = 0x00080005  # Specific Character Set: of an unknown one nothing could be written
BY_CONSENT = Rules(area=AREA, read=None)
TABLE = Path(__file__).with_name("e1_2026c.txt")
OF_PIXELS = (0x0028, 0x7FE0, 0x0002, 0x0000)  # groups that the picture itself fills


def random_pixels(shape: tuple[int, ...], dtype: type = np.uint8, top: int = 255) -> NDArray[np.generic]:
    return np.random.default_rng(1).integers(0, top + 1, shape).astype(dtype)


def saved(found: FileDataset, path: Path) -> Path:
    found.save_as(path, enforce_file_format=True)
    return path


def copied(found: FileDataset, folder: Path, rules: Rules = BY_CONSENT) -> Dataset:
    original = saved(found, folder / "original.dcm")
    write_dicom(original, folder / "copy.dcm", rules, lambda: None)
    return pydicom.dcmread(folder / "copy.dcm")


def pictures(path: Path) -> NDArray[np.uint8]:
    with DicomSource(path) as source:
        return np.stack([frame.pixels for frame in iter(source.read, None)])


VALUES: dict[str, object] = {
    "PN": f"{NAME}^ANN",
    "DA": BORN,
    "DT": f"{BORN}101500",
    "TM": "101500",
    "UI": "1.2.840.99999.7734190.77",
    "UR": f"http://{NAME}",
    "AE": NUMBER,
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "CS"), NAME),
    **dict.fromkeys(("OB", "OW", "UN"), NAME.encode() + b" "),
}


def fill(target: Dataset, depth: int = 1) -> None:
    """Put the patient into every attribute of the standard's dictionary that can hold words, dates or UIDs."""
    for tag, (vr, *_rest) in DicomDictionary.items():
        if tag >> 16 in OF_PIXELS or tag == ENCODING or keyword_for_tag(tag) in target:
            continue
        if vr == "SQ" and depth:
            inner = Dataset()
            inner.PatientName, inner.PatientID, inner.SOPInstanceUID = f"{NAME}^ANN", NUMBER, VALUES["UI"]
            target.add_new(tag, "SQ", [inner])
        elif vr in VALUES:
            target.add_new(tag, vr, VALUES[vr])


def test_no_attribute_at_any_depth_tells_who_it_was(tmp_path: Path) -> None:
    found = dataset(random_pixels((2, 48, 64, 3)))
    found.SequenceOfUltrasoundRegions = [region(0, 0, 60, 45)]
    nested = found.SequenceOfUltrasoundRegions[0]
    fill(found)
    fill(nested)
    for holder in (found, nested):
        block = holder.private_block(0x0011, f"{NAME} PRIVATE", create=True)
        block.add_new(0x01, "LO", NAME)
    overlay = found.private_block(0x0029, "X", create=True)
    overlay.add_new(0x02, "UN", NAME.encode())
    found.add_new(0x60003000, "OW", NAME.encode() + b" ")
    found.add_new(0x60000022, "LO", NAME)
    found.add_new(0x50003000, "OW", NAME.encode() + b" ")
    original = saved(found, tmp_path / "original.dcm")
    assert set(said_in(original.read_bytes(), *SECRETS)) == set(SECRETS)
    copy = copied(found, tmp_path)
    assert said_in((tmp_path / "copy.dcm").read_bytes(), *SECRETS) == []
    assert not any(element.tag.is_private for element in copy.iterall())
    assert copy.SequenceOfUltrasoundRegions[0].PhysicalDeltaX == 0.02


def standard_actions() -> dict[str, str]:
    return dict(line.split() for line in TABLE.read_text().splitlines() if not line.startswith("#"))


def test_what_is_kept_has_no_entry_in_the_standards_table() -> None:
    actions = standard_actions()
    assert len(actions) > 600
    for keyword in (*NUMBERS, *TERMS, *TABLES, *MAKERS):
        tag = pydicom.datadict.tag_for_keyword(keyword)
        assert tag is not None, keyword
        assert f"{tag >> 16:04X},{tag & 0xFFFF:04X}" not in actions, keyword


def test_each_attribute_of_the_table_is_treated_as_the_standard_asks(tmp_path: Path) -> None:
    found = dataset(random_pixels((1, 48, 64, 3)))
    fill(found)
    copy = copied(found, tmp_path)
    pseudonyms = {"PatientName", "PatientID", *UIDS}
    left = set()
    for tag in standard_actions():
        if "x" in tag or tag.startswith("0002") or int(tag.replace(",", ""), 16) not in copy:
            continue  # gone, which answers every action: X, and D, Z and U where the image needs no value
        element = copy[int(tag.replace(",", ""), 16)]
        left.add(element.keyword)
        if element.keyword in pseudonyms:
            assert element.value
            assert str(element.value) != str(found[element.tag].value)
        else:
            assert not element.value, element.keyword
    assert left >= pseudonyms
    assert left <= {*pseudonyms, *EMPTY}


Maker = Callable[[], FileDataset]


def palette() -> FileDataset:
    found = dataset(random_pixels((2, 48, 64)), "PALETTE COLOR")
    for name, colour in (("Red", 7), ("Green", 11), ("Blue", 13)):
        table = (np.arange(256) * colour % 256).astype(np.uint16) * 257
        table[40] = 0  # black is not the first colour
        setattr(found, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(found, f"{name}PaletteColorLookupTableData", table.tobytes())
    return found


def twelve_bits() -> FileDataset:
    found = dataset(random_pixels((1, 48, 64), np.uint16, 4095), "MONOCHROME2")
    found.BitsStored, found.HighBit = 12, 11
    found.WindowCenter, found.WindowWidth = "2048", "4096"
    return found


def compressed() -> FileDataset:
    found = dataset(random_pixels((2, 48, 64, 3)))
    found.compress(RLELossless, generate_instance_uid=False)
    return found


def planes() -> FileDataset:
    found = dataset(random_pixels((2, 48, 64, 3)))
    found.PlanarConfiguration = 1
    found.PixelData = np.ascontiguousarray(np.moveaxis(random_pixels((2, 48, 64, 3)), 3, 1)).tobytes()
    return found


FORMS: dict[str, Maker] = {
    "rgb": lambda: dataset(random_pixels((3, 48, 64, 3))),
    "planes": planes,
    "ybr": lambda: dataset(random_pixels((2, 48, 64, 3)), "YBR_FULL"),
    "grey": lambda: dataset(random_pixels((2, 48, 64)), "MONOCHROME2"),
    "grey, turned": lambda: dataset(random_pixels((1, 48, 64)), "MONOCHROME1"),
    "palette": palette,
    "twelve bits": twelve_bits,
    "rle": compressed,
    "odd": lambda: dataset(random_pixels((1, 47, 63)), "MONOCHROME2"),
}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_are_black_outside_and_untouched_inside(tmp_path: Path, form: str) -> None:
    found = FORMS[form]()
    copy = copied(found, tmp_path)
    before, after = pictures(tmp_path / "original.dcm"), pictures(tmp_path / "copy.dcm")
    assert after.shape == before.shape
    x0, y0, x1, y1 = AREA
    assert np.array_equal(after[:, y0:y1, x0:x1], before[:, y0:y1, x0:x1])
    outside = np.ones(after.shape[1:3], np.bool_)
    outside[y0:y1, x0:x1] = False
    assert not after[:, outside].any()
    assert copy.file_meta.TransferSyntaxUID == (RLELossless if form == "rle" else "1.2.840.10008.1.2.1")
    assert copy.ImageType[0] == "DERIVED"


def test_words_in_the_spare_bits_of_the_pixels_go(tmp_path: Path) -> None:
    """As old overlays lie: in bits of the pixels above those of the picture (retired, PS3.5 8.1.2)."""
    found = twelve_bits()
    values = np.frombuffer(found.PixelData, np.uint16).copy()
    found.PixelData = (values | 0x8000).astype(np.uint16).tobytes()
    copy = copied(found, tmp_path)
    assert int(np.frombuffer(copy.PixelData, np.uint16).max()) < 4096


def test_uids_agree_over_files_of_one_run_and_differ_from_run_to_run(tmp_path: Path) -> None:
    found = dataset(random_pixels((1, 48, 64)), "MONOCHROME2")
    rules, other = Rules(area=AREA, read=None), Rules(area=AREA, read=None)
    one = copied(found, tmp_path, rules)
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    two = copied(found, tmp_path, rules)
    elsewhere = copied(found, tmp_path, other)
    assert one.StudyInstanceUID == two.StudyInstanceUID != elsewhere.StudyInstanceUID
    assert one.PatientID == two.PatientID != elsewhere.PatientID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert all(str(one[name].value).startswith("2.25.") and one[name].value.is_valid for name in UIDS)
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID


def test_dates_go_or_move_by_one_step_for_all_of_a_patient(tmp_path: Path) -> None:
    found = dataset(random_pixels((1, 48, 64)), "MONOCHROME2")
    found.AcquisitionDateTime = "20240310101500.5"
    assert copied(found, tmp_path).StudyDate == ""
    rules = Rules(area=AREA, read=None, dates="shift", pseudonyms=Pseudonyms(b"k" * 32))
    copy = copied(found, tmp_path, rules)
    days = Pseudonyms(b"k" * 32).days(NUMBER + "\0")
    between = np.datetime64("2024-02-29") - np.datetime64(
        f"{copy.StudyDate[:4]}-{copy.StudyDate[4:6]}-{copy.StudyDate[6:]}"
    )
    assert between.astype(int) == days > 0
    moved = np.datetime64(
        f"{copy.AcquisitionDateTime[:4]}-{copy.AcquisitionDateTime[4:6]}-{copy.AcquisitionDateTime[6:8]}"
    )
    assert np.datetime64("2024-03-10") - moved == between
    assert copy.AcquisitionDateTime[8:] == "101500.5"
    assert copy.PatientBirthDate == ""
    assert [item.CodeValue for item in copy.DeidentificationMethodCodeSequence] == ["113100", "113107"]


def test_a_copy_in_which_nobody_looked_for_words_says_so(tmp_path: Path) -> None:
    copy = copied(dataset(random_pixels((1, 48, 64)), "MONOCHROME2"), tmp_path)
    assert (copy.BurnedInAnnotation, copy.PatientIdentityRemoved) == ("YES", "NO")
    assert [item.CodeValue for item in copy.DeidentificationMethodCodeSequence] == ["113100"]


def test_a_name_over_the_tissue_goes_and_the_copy_says_so(tmp_path: Path) -> None:
    frames = np.stack([burned(frame.pixels) for frame in phantom(frames=2)])
    found = dataset(frames)
    found.SequenceOfUltrasoundRegions = [region(100, 60, 860, 700)]
    copy = copied(found, tmp_path, Rules())
    assert (copy.BurnedInAnnotation, copy.PatientIdentityRemoved) == ("NO", "YES")
    assert {item.CodeValue for item in copy.DeidentificationMethodCodeSequence} == {"113100", "113101"}
    after = pictures(tmp_path / "copy.dcm")
    assert not after[:, 295:316, 332:520].any()
    assert after.any(axis=3).mean() > 0.2
    assert not [line.text for line in read_words(after[1]) if NAME[:5].lower() in line.text.lower()]


def test_a_copy_is_conformant(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian: dicom3tools), which checks DICOM files, is not here")
    found = palette()
    found.NumberOfFrames = 2
    fill(found)
    copied(found, tmp_path)
    said = subprocess.run(["dciodvfy", "copy.dcm"], cwd=tmp_path, capture_output=True, text=True, check=False).stderr
    assert "USMultiFrameImage" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def report() -> FileDataset:
    found = dataset(random_pixels((1, 48, 64)), "MONOCHROME2")
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = pydicom.uid.ComprehensiveSRStorage
    return found


def document() -> FileDataset:
    found = report()
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = pydicom.uid.EncapsulatedPDFStorage
    return found


def without_pixels() -> FileDataset:
    found = dataset(random_pixels((1, 48, 64)), "MONOCHROME2")
    del found.PixelData
    return found


@pytest.mark.parametrize("make", [report, document, without_pixels])
def test_reports_documents_and_files_without_picture_are_refused(tmp_path: Path, make: Maker) -> None:
    with pytest.raises(RefusedFileError) as refusal:
        copied(make(), tmp_path)
    assert refusal.value.code == "no-picture"
    assert not (tmp_path / "copy.dcm").exists()


@pytest.mark.parametrize("share", [0.001, 0.02, 0.1, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_one_sentence_and_leaves_nothing(tmp_path: Path, share: float) -> None:
    original = saved(compressed(), tmp_path / "original.dcm")
    data = original.read_bytes()
    original.write_bytes(data[: int(share * len(data))])
    with pytest.raises(EchoGFRError) as error:
        write_dicom(original, tmp_path / "copy.dcm", BY_CONSENT, lambda: None)
    assert "\n" not in error.value.sentence
    assert [path.name for path in tmp_path.iterdir()] == ["original.dcm"]


@pytest.mark.parametrize("name", ["philips_epiq5g_linear.dcm", "sonosite_turbo_cine30.dcm"])
def test_real_files_pass_and_carry_no_word_of_their_headers(tmp_path: Path, shared_data: Path, name: str) -> None:
    original = shared_data / "dicom" / name
    write_dicom(original, tmp_path / "copy.dcm", Rules(), lambda: None)
    header, copy = pydicom.dcmread(original), pydicom.dcmread(tmp_path / "copy.dcm")
    told = {str(header.get(word) or "") for word in ("PatientName", "PatientID", "StudyInstanceUID", "SOPInstanceUID")}
    assert said_in((tmp_path / "copy.dcm").read_bytes(), *(word for word in told if len(word) > 3)) == []
    assert copy.BurnedInAnnotation == "NO"
    shown = cv2.countNonZero(pictures(tmp_path / "copy.dcm")[0][:, :, 0])
    assert shown > 0.1 * copy.Rows * copy.Columns
    if shutil.which("dciodvfy") is not None:
        said = subprocess.run(["dciodvfy", "copy.dcm"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []


def test_a_damaged_header_is_refused_or_copied_without_the_patient(tmp_path: Path) -> None:
    """Changed lengths make one attribute swallow its neighbours: a kept one must not carry them along."""
    found = compressed()
    found.SequenceOfUltrasoundRegions = [region(0, 0, 60, 45)]
    whole = saved(found, tmp_path / "original.dcm").read_bytes()
    rng, outcomes = np.random.default_rng(4), set()
    for _ in range(80):
        torn = bytearray(whole)
        for place in rng.integers(132, 1200, int(rng.integers(1, 6))):
            torn[place] = int(rng.integers(256))
        (tmp_path / "original.dcm").write_bytes(bytes(torn))
        (tmp_path / "copy.dcm").unlink(missing_ok=True)
        try:
            write_dicom(tmp_path / "original.dcm", tmp_path / "copy.dcm", BY_CONSENT, lambda: None)
            outcomes.add("copied")
            assert said_in((tmp_path / "copy.dcm").read_bytes(), NAME, NUMBER, BORN) == []
        except EchoGFRError as error:
            outcomes.add("refused")
            assert "\n" not in error.sentence
            assert [path.name for path in tmp_path.iterdir()] == ["original.dcm"]
    assert outcomes == {"copied", "refused"}


@pytest.mark.parametrize("maker", [f"ACME\x08\0\x10\0PN{NAME}", "ACME " + "x" * 80, f"{NAME} Medical"])
def test_a_maker_that_has_swallowed_other_words_goes(tmp_path: Path, maker: str) -> None:
    found = dataset(random_pixels((1, 48, 64)), "MONOCHROME2")
    found.Manufacturer = "ACME"
    found["Manufacturer"]._value = maker
    assert copied(found, tmp_path).Manufacturer in (None, "")
