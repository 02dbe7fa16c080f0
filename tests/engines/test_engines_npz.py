"""Archives of arrays: nothing is run, nothing fills the memory, and every fault is one sentence."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import npz
from engines.errors import BundleError
from engines.npz import parse_npz


class Trap:
    """Would create a file if it were ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    np.savez(tmp_path / "objects.npz", crops=np.array([Trap(sprung)], dtype=object))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Trap(sprung)))
    (tmp_path / "text.npz").write_bytes(b"no zip at all")
    (tmp_path / "single.npz").write_bytes(b"")
    for name in ("objects.npz", "bare.npz", "text.npz", "single.npz"):
        with pytest.raises(BundleError, match="not an npz of plain arrays"):
            parse_npz((tmp_path / name).read_bytes(), name)
    assert not sprung.exists()


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(BundleError, match="not an npz"):
        parse_npz((tmp_path / "one.npy").read_bytes(), "one.npy")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, zeros=np.zeros(1_000_000, np.uint8))
    assert path.stat().st_size < 10_000
    assert parse_npz(path.read_bytes(), path.name)["zeros"].shape == (1_000_000,)
    monkeypatch.setattr(npz, "LIMIT_BYTES", 999_999)
    with pytest.raises(BundleError, match="unpacks to"):
        parse_npz(path.read_bytes(), path.name)


def test_an_array_that_claims_to_be_immense_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)})
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("claim.npy", header.getvalue())
    with pytest.raises(BundleError, match="not an npz of plain arrays"):
        parse_npz((tmp_path / "claim.npz").read_bytes(), "claim.npz")


def test_an_archive_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "letter.npz", "w") as archive:
        archive.writestr("letter.txt", "Dear model")
    with pytest.raises(BundleError, match="not an npz of plain arrays"):
        parse_npz((tmp_path / "letter.npz").read_bytes(), "letter.npz")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4), st.integers(0, 400))
def test_whatever_became_of_an_archive_it_is_read_or_explained(changes: list[tuple[int, int]], cut: int) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.arange(60, dtype=np.float32), b=np.arange(40, dtype=np.uint8))
    raw = bytearray(stream.getvalue())
    for at, value in changes:
        raw[at % len(raw)] = value
    try:
        arrays = parse_npz(bytes(raw[: len(raw) - max(0, cut - 300)]), "changed.npz")
    except BundleError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
