from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engines import bundle as bundle_module
from engines.bundle import Bundle, load_golden, open_bundle
from engines.errors import BundleError

from .bundle_makers import replace_listed, rewrite


def test_a_whole_bundle_opens(bundle: Bundle, bundle_path: Path) -> None:
    assert bundle.manifest.bundle_id == "test-bundle"
    assert bundle.sha256 == hashlib.sha256((bundle_path / "manifest.json").read_bytes()).hexdigest()
    assert bundle.file("card.md").read_text() == "# Card\n"
    assert bundle.artifact("fp32", "cpu").file == "model-0.onnx"


def test_an_unlisted_name_or_precision_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"it lists only card\.md"):
        bundle.file("../manifest.json")
    with pytest.raises(BundleError, match="it holds only fp32 for any"):
        bundle.artifact("int8", "cpu")


def test_every_defect_is_told_at_once(bundle_path: Path) -> None:
    (bundle_path / "card.md").unlink()
    (bundle_path / "parity.json").write_bytes(b"[]")
    (bundle_path / "parity.html").write_bytes(b"shorter")
    (bundle_path / "extra.bin").write_bytes(b"")
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle_path)
    told = caught.value.sentence
    assert "card.md is missing" in told
    assert "parity.json was changed" in told
    assert "parity.html has 7 bytes instead of 13" in told
    assert "extra.bin is not listed" in told
    assert told.endswith("copy the bundle again from where it came from.")


@pytest.mark.parametrize("name", ["model-0.onnx", "golden.npz", "domain.npz", "card.md"])
def test_one_changed_bit_is_found(bundle_path: Path, name: str) -> None:
    content = bytearray((bundle_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_path / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=f"{name} was changed"):
        open_bundle(bundle_path)


def test_links_are_not_followed(bundle_path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    (bundle_path / "card.md").rename(outside)
    (bundle_path / "card.md").symlink_to(outside)
    with pytest.raises(BundleError, match=r"card\.md is not a regular file"):
        open_bundle(bundle_path)


def test_a_linked_or_huge_manifest_is_refused(bundle_path: Path, tmp_path: Path) -> None:
    manifest = bundle_path / "manifest.json"
    content = manifest.read_bytes()
    manifest.unlink()
    (tmp_path / "m.json").write_bytes(content)
    manifest.symlink_to(tmp_path / "m.json")
    with pytest.raises(BundleError, match="not a regular file"):
        open_bundle(bundle_path)
    manifest.unlink()
    manifest.write_bytes(content + b" " * (1 << 20))
    with pytest.raises(BundleError, match="larger than 1 MiB"):
        open_bundle(bundle_path)


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such directory"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"no readable manifest\.json"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"novelty": 1}, "novelty: Extra inputs are not permitted"),
        ({"schema_version": 1}, "its format is not version 2"),
        ({"heads": []}, "it is a reader without a head"),
        ({"heads": [{"kind": "survival"}]}, r"heads\.0: Input tag 'survival'"),
        ({"interval": {"level": 0.9}}, "interval: Extra inputs are not permitted"),
        ({"card": {"file": "../card.md", "sha256": "0" * 64, "size_bytes": 0}}, r"card\.file: String should match"),
        ({"artifacts": []}, "artifacts: Tuple should have at least 1 item"),
        ({"members": 2}, r"the output egfr_members has the shape \(3,\) instead of \(2,\)"),
        ({"outputs": []}, "the head egfr needs an output egfr_members that means members"),
    ],
)
def test_a_manifest_that_is_not_understood_is_explained_in_one_line(bundle_path: Path, changes, told: str) -> None:
    rewrite(bundle_path, **changes)
    with pytest.raises(BundleError, match=told) as caught:
        open_bundle(bundle_path)
    assert "\n" not in caught.value.sentence


def test_a_manifest_that_is_not_json_is_explained_in_one_line(bundle_path: Path) -> None:
    (bundle_path / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(BundleError, match=r"manifest\.json is not valid") as caught:
        open_bundle(bundle_path)
    assert "\n" not in caught.value.sentence


def test_golden_vectors_load(bundle: Bundle) -> None:
    golden = load_golden(bundle)
    assert golden.crops.shape == (5, 64, 64, 3) and golden.crops.dtype == np.uint8
    assert {name: array.shape for name, array in golden.outputs.items()} == {
        "egfr_members": (5, 3), "p_egfr_below_60_members": (5, 3), "features": (5, 12), "egfr_map": (5, 8, 8),
    }  # fmt: skip


def test_golden_vectors_of_another_shape_are_refused(bundle_path: Path, tmp_path: Path) -> None:
    crops = np.zeros((2, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "g.npz", crops=crops, egfr_members=np.zeros((2, 4), np.float32))
    replace_listed(bundle_path, "golden", (tmp_path / "g.npz").read_bytes())
    with pytest.raises(BundleError, match=r"'egfr_members' is float32 \(2, 4\) instead of float \(2, 3\)"):
        load_golden(open_bundle(bundle_path))


def test_golden_vectors_without_crops_are_refused(bundle_path: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "g.npz", egfr_members=np.zeros((2, 3), np.float32))
    replace_listed(bundle_path, "golden", (tmp_path / "g.npz").read_bytes())
    with pytest.raises(BundleError, match="'crops' is not uint8"):
        load_golden(open_bundle(bundle_path))


def test_a_file_that_was_exchanged_after_the_bundle_was_opened_is_not_used(bundle: Bundle) -> None:
    whole = bundle.read("golden.npz")
    assert hashlib.sha256(whole).hexdigest() == bundle.manifest.golden.sha256
    bundle.file("golden.npz").write_bytes(whole[:-1] + b"?")
    with pytest.raises(BundleError, match=r"golden\.npz was changed"):
        load_golden(bundle)
    bundle.file("golden.npz").write_bytes(whole + b"?")
    with pytest.raises(BundleError, match=r"golden\.npz was changed"):
        load_golden(bundle)
    bundle.file("golden.npz").unlink()
    with pytest.raises(BundleError, match=r"golden\.npz cannot be read"):
        load_golden(bundle)


def test_a_manifest_that_grows_while_it_is_read_is_refused(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mode = (bundle_path / "manifest.json").lstat().st_mode
    monkeypatch.setattr(bundle_module, "MANIFEST_LIMIT_BYTES", 100)
    monkeypatch.setattr(Path, "lstat", lambda path: SimpleNamespace(st_mode=mode, st_size=99))
    with pytest.raises(BundleError, match="larger than"):
        open_bundle(bundle_path)


def test_a_directory_that_cannot_be_listed_is_explained(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", locked)
    with pytest.raises(BundleError, match=r"cannot be listed \(Permission denied\)"):
        open_bundle(bundle_path)


def test_a_file_larger_than_any_model_can_be_is_refused_before_it_is_read(bundle_path: Path) -> None:
    manifest = json.loads((bundle_path / "manifest.json").read_text())
    rewrite(bundle_path, artifacts=[{**manifest["artifacts"][0], "size_bytes": (1 << 31) + 1}])
    with pytest.raises(BundleError, match=r"artifacts\.0\.size_bytes: Input should be less than or equal"):
        open_bundle(bundle_path)


def test_a_file_given_as_a_bundle_is_told_apart_from_a_missing_one(tmp_path: Path) -> None:
    packed = tmp_path / "bundle.zip"
    packed.write_bytes(b"PK")
    with pytest.raises(BundleError, match="it is a file and a bundle is a directory"):
        open_bundle(packed)


def test_a_newer_format_asks_for_a_newer_program(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema_version": 3, "something_new": true}')
    with pytest.raises(BundleError, match="update the program"):
        open_bundle(tmp_path)
