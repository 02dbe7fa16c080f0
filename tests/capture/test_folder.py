"""A folder of stills: in the order that a person expects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.capture.base import SourceError
from edge_app.capture.folder import natural_order
from edge_app.capture.open import open_source


def still(path: Path, grey: int, size: tuple[int, int] = (20, 10)) -> None:
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), grey, np.uint8))


def test_stills_come_in_natural_order_whatever_their_size(tmp_path: Path) -> None:
    still(tmp_path / "kidney10.png", 10)
    still(tmp_path / "kidney2.png", 2, size=(40, 30))
    still(tmp_path / "Kidney1.png", 1)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    with open_source(f"folder:{tmp_path}") as source:
        frames = list(iter(source.read, None))
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert frames[1].pixels.shape == (30, 40, 3)
    assert [frame.t_ms for frame in frames] == [0.0, 500.0, 1000.0]
    assert not any(frame.pixels.flags.writeable for frame in frames)


def test_a_bare_path_to_a_folder_is_enough(tmp_path: Path) -> None:
    still(tmp_path / "a.png", 5)
    with open_source(str(tmp_path)) as source:
        assert source.info.title == "folder of 1 stills"


def test_a_damaged_still_is_named(tmp_path: Path) -> None:
    still(tmp_path / "1.png", 5)
    still(tmp_path / "2.png", 5)
    data = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(data[:40])
    with pytest.raises(SourceError, match=r"2\.png"), open_source(str(tmp_path)) as source:
        while source.read() is not None:
            pass


def test_a_folder_without_stills_and_no_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no PNG, JPEG"), open_source(f"folder:{tmp_path}"):
        pass
    with pytest.raises(SourceError, match="no such folder"), open_source(f"folder:{tmp_path / 'none'}"):
        pass
    file = tmp_path / "file.png"
    still(file, 1)
    with pytest.raises(SourceError, match="it is a file"), open_source(f"folder:{file}"):
        pass


@settings(deadline=None)  # a busy computer is no fault
@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    forth, back = (sorted(map(natural_order, listing)) for listing in (names, names[::-1]))
    assert forth == back, "all names can be compared, in whatever order the disk gives them"


@settings(deadline=None)  # a busy computer is no fault
@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_numbers_in_names_count_as_numbers(one: int, other: int) -> None:
    assert (natural_order(f"a{one}.png") < natural_order(f"a{other}.png")) == (one < other)
