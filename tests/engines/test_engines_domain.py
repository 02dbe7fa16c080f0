from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engines.domain import MAX_COMPONENTS, DomainModel, fit
from engines.errors import BundleError, TensorMismatchError
from engines.texture import LENGTH, texture

FEATURES = 40


def feature_rows(count: int, seed: int) -> np.ndarray:
    """Correlated, far from the origin, with scales from 0.01 to 10 and one feature that never changes."""
    mixing = np.random.default_rng(99).normal(size=(FEATURES, FEATURES)) * np.geomspace(0.01, 10, FEATURES)
    rows = np.random.default_rng(seed).normal(size=(count, FEATURES)) @ mixing + 5.0
    rows[:, 0] = 3.0
    return rows.astype(np.float32)


def speckle(count: int, seed: int, blur: float = 1.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    crops = []
    for _ in range(count):
        grey = cv2.GaussianBlur(rng.gamma(2.0, rng.uniform(25, 40), (96, 96)), (0, 0), blur)
        crops.append(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2))
    return np.stack(crops)


@pytest.fixture(scope="module")
def model() -> DomainModel:
    return fit(feature_rows(400, 1), speckle(400, 1), feature_rows(300, 2), speckle(300, 2))


def distances(model: DomainModel, features: np.ndarray, crops: np.ndarray) -> np.ndarray:
    return np.array([model.distance(row, crop) for row, crop in zip(features, crops, strict=True)])


def test_99_of_100_held_out_pictures_lie_within_one(model: DomainModel) -> None:
    held = distances(model, feature_rows(300, 2), speckle(300, 2))
    assert np.quantile(held, 0.99) == pytest.approx(1.0, abs=1e-6)


def test_new_pictures_of_the_same_kind_lie_within(model: DomainModel) -> None:
    fresh = distances(model, feature_rows(200, 3), speckle(200, 3))
    assert np.mean(fresh <= 1.0) > 0.95


@pytest.mark.parametrize(
    "change",
    [
        lambda c: cv2.GaussianBlur(c, (0, 0), 3.0),
        lambda c: 255 - c,
        lambda c: np.where(np.arange(96)[None, :, None] < 48, 0, c).astype(np.uint8),
        lambda c: np.stack([c[:, :, 0], c[:, :, 0] // 2, c[:, :, 0] // 3], axis=2),
        lambda c: np.zeros_like(c),
        lambda c: np.random.default_rng(0).integers(0, 256, c.shape, dtype=np.uint8),
    ],
    ids=["blurred", "inverted", "half black", "coloured", "black", "noise"],
)
def test_a_picture_of_another_texture_lies_outside_although_its_features_fit(model: DomainModel, change) -> None:
    crop = np.ascontiguousarray(change(speckle(1, 4)[0]))
    assert model.distance(feature_rows(1, 3)[0], crop) > 1.5


def test_features_of_another_kind_lie_outside_although_the_texture_fits(model: DomainModel) -> None:
    row, crop = feature_rows(1, 3)[0], speckle(1, 3)[0]
    assert model.distance(row * 3, crop) > 1.5


def test_at_most_32_components_are_kept_and_none_of_a_constant_feature(model: DomainModel) -> None:
    assert model.features.axes.shape[1] <= MAX_COMPONENTS
    assert np.abs(model.features.axes[0]).max() < 1e-6
    few = fit(feature_rows(20, 1), speckle(20, 1), feature_rows(20, 2), speckle(20, 2))
    assert few.features.axes.shape[1] == 4


def test_more_features_than_pictures_are_possible() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(60, 500))
    fitted = fit(wide[:40], speckle(40, 1), wide[40:], speckle(20, 2))
    assert np.isfinite(fitted.distance(wide[0], speckle(1, 1)[0]))


def test_identical_pictures_do_not_break_the_fit() -> None:
    same = fit(np.ones((30, 5)), np.full((30, 64, 64, 3), 90, np.uint8))
    assert same.distance(np.ones(5), np.full((64, 64, 3), 90, np.uint8)) <= 1.0
    assert np.isfinite(same.distance(np.full(5, 2.0), np.zeros((64, 64, 3), np.uint8)))


def test_without_held_out_pictures_every_fifth_is_set_aside() -> None:
    features, crops = feature_rows(100, 1), speckle(100, 1)
    held = np.arange(100) % 5 == 0
    by_hand = fit(features[~held], crops[~held], features[held], crops[held])
    assert fit(features, crops).distance(features[7], crops[7]) == by_hand.distance(features[7], crops[7])


def test_what_is_saved_is_what_is_loaded(model: DomainModel, tmp_path: Path) -> None:
    model.save(tmp_path / "one.npz")
    model.save(tmp_path / "two.npz")
    loaded = DomainModel.load(tmp_path / "one.npz")
    for row, crop in zip(feature_rows(5, 6), speckle(5, 6), strict=True):
        assert loaded.distance(row, crop) == pytest.approx(model.distance(row, crop), rel=1e-3)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]


@pytest.mark.parametrize("spoil", ["missing", "nan", "shape", "limit", "integers"])
def test_a_file_that_is_no_domain_check_is_refused(model: DomainModel, tmp_path: Path, spoil: str) -> None:
    model.save(tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz") as archive:
        arrays = dict(archive)
    if spoil == "missing":
        del arrays["textures_axes"]
    elif spoil == "nan":
        arrays["features_mean"][0] = np.nan
    elif spoil == "shape":
        arrays["features_axes"] = arrays["features_axes"][1:]
    elif spoil == "limit":
        arrays["features_limit"] = np.float32(0)
    else:
        arrays["textures_mean"] = arrays["textures_mean"].astype(int)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(BundleError, match="not those of a domain check"):
        DomainModel.load(tmp_path / "bad.npz")


def test_wrong_features_and_crops_are_explained(model: DomainModel) -> None:
    with pytest.raises(TensorMismatchError, match=r"features of shape \(12,\) instead of features of shape \(40,\)"):
        model.distance(np.zeros(12), speckle(1, 1)[0])
    with pytest.raises(TensorMismatchError, match=r"no features instead of features of shape \(40,\)"):
        model.distance(None, speckle(1, 1)[0])
    with pytest.raises(TensorMismatchError, match="instead of uint8"):
        model.distance(np.zeros(FEATURES), np.zeros((96, 96, 3)))  # type: ignore[arg-type]
    with pytest.raises(TensorMismatchError, match="only 3 pictures"):
        fit(feature_rows(3, 1), speckle(3, 1))
    with pytest.raises(TensorMismatchError, match="do not belong together"):
        fit(feature_rows(30, 1), speckle(29, 1))
    with pytest.raises(TensorMismatchError, match="not finite"):
        fit(np.full((30, 4), np.nan), speckle(30, 1))
    with pytest.raises(TensorMismatchError, match=r"shape \(30, 40\) to fit and no features held out"):
        fit(feature_rows(30, 1), speckle(30, 1), None, speckle(5, 2))
    with pytest.raises(TensorMismatchError, match=r"no features to fit and features of shape \(5, 40\) held out"):
        fit(None, speckle(30, 1), feature_rows(5, 2), speckle(5, 2))
    with pytest.raises(TensorMismatchError, match="only 19 pictures"):
        fit(None, speckle(19, 1))


def test_without_features_the_texture_alone_decides(model: DomainModel, tmp_path: Path) -> None:
    alone = fit(None, speckle(400, 1), None, speckle(300, 2))
    assert alone.features is None
    held = [alone.distance(None, crop) for crop in speckle(300, 2)]
    assert np.quantile(held, 0.99) == pytest.approx(1.0, abs=1e-6)
    blurred = cv2.GaussianBlur(speckle(1, 4)[0], (0, 0), 3.0)
    assert alone.distance(None, blurred) > 1.5
    alone.save(tmp_path / "d.npz")
    assert DomainModel.load(tmp_path / "d.npz").features is None
    assert DomainModel.load(tmp_path / "d.npz").distance(None, blurred) == pytest.approx(
        alone.distance(None, blurred), rel=1e-3
    )
    with pytest.raises(TensorMismatchError, match=r"features of shape \(40,\) instead of no features"):
        alone.distance(feature_rows(1, 3)[0], blurred)


def test_half_of_the_features_is_no_domain_check_by_texture(model: DomainModel, tmp_path: Path) -> None:
    model.save(tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz") as archive:
        arrays = {name: archive[name] for name in archive.files if name != "features_mean"}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(BundleError, match="not those of a domain check"):
        DomainModel.load(tmp_path / "bad.npz")


@settings(max_examples=40)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(32, 60), st.integers(32, 60), st.just(3))))
def test_the_texture_of_any_crop_is_finite_and_its_histogram_whole(crop: np.ndarray) -> None:
    values = texture(crop)
    assert values.shape == (LENGTH,) and np.isfinite(values).all()
    assert np.sum(values[:16] ** 2) == pytest.approx(1.0)
    assert 0 <= values[-2] <= 1 and 0 <= values[-1] <= 1


def test_the_texture_of_constant_and_striped_crops() -> None:
    black = texture(np.zeros((64, 64, 3), np.uint8))
    assert black[-2] == 1.0 and black[-1] == 0.0 and black[0] == 1.0
    assert np.abs(black[16:32]).max() == 0.0
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 200  # 0.5 cycles a pixel: the finest band
    assert np.argmax(texture(stripes)[16:32]) == 15


def test_the_texture_does_not_depend_on_left_and_right() -> None:
    crop = speckle(1, 5)[0]
    np.testing.assert_allclose(texture(crop), texture(np.ascontiguousarray(crop[:, ::-1])), atol=1e-4)


def test_the_spectrum_of_white_noise_is_flat() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (224, 224, 1), dtype=np.uint8)
    bands = texture(np.repeat(noise, 3, axis=2))[16:32]
    assert np.ptp(bands[4:]) < 0.5, "power a cell, not power a band: a finer band holds more cells"
