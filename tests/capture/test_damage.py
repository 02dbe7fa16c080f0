"""Damaged videos and DICOM files: pictures or one sentence, never a traceback. tests/bench/corrupt.py runs more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.capture.base import SourceError
from edge_app.capture.open import open_source
from tests.capture.damage import KINDS, damaged, read, read_stream, wholes
from tests.capture.test_dicom import write_dicom


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
    pixels = np.random.default_rng(1).integers(0, 255, (3, 48, 64, 3)).astype(np.uint8)
    return [*wholes(folder), write_dicom(folder / "cine.dcm", pixels)]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_each_kind_ends_in_pictures_or_one_sentence(files: list[Path], tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    for whole in files:
        path = tmp_path / whole.name
        path.write_bytes(damaged(whole.read_bytes(), kind, rng))
        assert read(path) in ("pictures", "sentence")


def test_damage_on_the_way_ends_in_one_sentence(files: list[Path], tmp_path: Path) -> None:
    """A live stream always ends in one: the sender has ended, or what came was none."""
    (whole,) = (path for path in files if path.suffix == ".ts")
    for kind in KINDS:
        path = tmp_path / whole.name
        path.write_bytes(damaged(whole.read_bytes(), kind, np.random.default_rng(5)))
        assert read_stream(path) == "sentence"


def test_a_whole_file_gives_all_its_pictures(files: list[Path]) -> None:
    assert [read(path) for path in files] == ["pictures"] * len(files)


def test_a_codec_that_nobody_knows_is_one_sentence(files: list[Path], tmp_path: Path) -> None:
    (clip,) = (path for path in files if path.suffix == ".mp4")
    unknown = tmp_path / "unknown.mp4"
    unknown.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(SourceError, match="it holds no video"), open_source(str(unknown)):
        pass
