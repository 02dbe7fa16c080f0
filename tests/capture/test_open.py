"""Names of sources: each form finds its kind, each mistake is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_app.capture.base import FrameSource, SourceError
from edge_app.capture.open import open_source, split
from engines.errors import EchoGFRError


@pytest.mark.parametrize(
    ("uri", "scheme", "path"),
    [
        ("phantom:", "phantom", "."),
        ("phantom:look=ge,seed=3", "phantom", "."),
        ("file:/a/b.mp4", "file", "/a/b.mp4"),
        ("file:///a/b.mp4", "file", "/a/b.mp4"),
        ("FILE:b.mp4", "file", "b.mp4"),
        ("dicom:a:b.dcm", "dicom", "a:b.dcm"),
        ("folder:/a b", "folder", "/a b"),
        ("/a/b.dcm", "dicom", "/a/b.dcm"),
        ("clip.mp4", "file", "clip.mp4"),
    ],
)
def test_each_form_is_understood(uri: str, scheme: str, path: str) -> None:
    assert split(uri) == (scheme, Path(path))


def test_a_dicom_file_without_extension_is_known_by_its_prefix(tmp_path: Path) -> None:
    path = tmp_path / "IM0001"
    path.write_bytes(bytes(128) + b"DICM")
    assert split(str(path))[0] == "dicom"


def test_the_home_folder_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert split("file:~/a.mp4") == ("file", tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("uri", "because"),
    [
        ("", "no name was given"),
        ("file:", "it names no path"),
        ("ndi://host/stream", "no source that this version knows"),
    ],
)
def test_a_name_that_is_none_is_said(uri: str, because: str) -> None:
    with pytest.raises(SourceError, match=because):
        open_source(uri)


@example("\0")
@example("~nobody-of-this-name/clip.mp4")
@example("phantom:size=1x1")
@settings(deadline=None)  # a busy computer is no fault
@given(st.text(max_size=30))
def test_any_text_opens_or_is_one_of_our_errors(text: str) -> None:
    try:
        source = open_source(text)
    except EchoGFRError as error:
        assert len(error.sentence) > 20
    else:
        assert isinstance(source, FrameSource)
