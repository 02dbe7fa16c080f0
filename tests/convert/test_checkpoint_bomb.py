"""A checkpoint that unpacks to more than there is room for is refused before it is unpacked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch

from convert import checkpoint
from convert.checkpoint import DefectError, load_tensors


def test_an_archive_that_unpacks_to_more_than_it_may_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = io.BytesIO()
    torch.save({"weight": torch.zeros(1 << 20)}, stored)
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for item in source.infolist():
            packed.writestr(item.filename, source.read(item))
    assert bomb.stat().st_size < 1 << 16
    monkeypatch.setattr(checkpoint, "LARGEST", 1 << 21)
    with pytest.raises(DefectError, match="unpacks to 4 MB and 2 are the most"):
        load_tensors(bomb)


def test_a_file_of_the_older_format_is_as_large_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.pkl"
    torch.save({"weight": torch.zeros(1 << 20)}, path, _use_new_zipfile_serialization=False)
    assert set(load_tensors(path)) == {"weight"}
    monkeypatch.setattr(checkpoint, "LARGEST", 1 << 21)
    with pytest.raises(DefectError, match="4 MB and 2 are the most"):
        load_tensors(path)
