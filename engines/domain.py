"""Domain check: how unlike those that the model was made for a picture is.

Two Mahalanobis distances, each in units of its own limit; the larger counts:

* pooled features, whitened on at most 32 principal components (Lee et al. 2018, "A simple unified
  framework for detecting out-of-distribution samples"): what the network makes of the picture;
* the texture descriptor of the crop with a shrunk covariance: what the network may not look at.

Limits are quantiles of held-out pictures, never of a chi-squared distribution: features are not normal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from engines.errors import BundleError, TensorMismatchError
from engines.npz import parse_npz
from engines.texture import LENGTH, texture

MAX_COMPONENTS = 32
PICTURES_PER_COMPONENT = 5  # fewer cannot support a component
QUANTILE = 0.99  # of held-out pictures that lie within the limit 1.0
SHRINKAGE = 0.1  # of the texture covariance towards its diagonal
TEXTURE_FLOOR = 0.02  # smallest standard deviation of a texture number: a constant one stays finite
HELD_OUT_STEP = 5  # every fifth picture, where no held-out pictures are given
MIN_PICTURES = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """mean (D,), axes (D, q) scaled to unit variance, and the distance that counts as 1.0."""

    mean: Floats
    axes: Floats
    limit: float

    def distance(self, values: Floats) -> Floats:
        """Return the Mahalanobis distance of rows (K, D), in units of the limit: (K,)."""
        return np.asarray(np.linalg.norm((values - self.mean) @ self.axes, axis=1) / self.limit, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class DomainModel:
    """A fitted domain check. The distance 1.0 is the 99 % quantile of held-out pictures."""

    features: Whitening
    textures: Whitening

    def distance(self, features: NDArray[np.floating], crop: NDArray[np.uint8]) -> float:
        """Return the distance of one picture; above 1.0 it is unlike those of the development data.

        Parameters
        ----------
        features : float (F,)
            Pooled features, all members side by side.
        crop : uint8 (H, W, 3)
            RGB, what the model read.

        Raises
        ------
        TensorMismatchError
            The number of features, or the crop, is not as it was fitted.
        """
        wanted = self.features.mean.shape
        if features.shape != wanted:
            raise TensorMismatchError(
                "The domain check cannot be made",
                f"there are features of shape {features.shape} instead of {wanted}",
                "convert the model again",
            )
        by_features = self.features.distance(features.astype(np.float64)[None])
        by_texture = self.textures.distance(texture(crop)[None])
        return float(max(by_features[0], by_texture[0]))

    def save(self, path: Path | str) -> None:
        """Write an npz of plain numbers; the file appears whole or not at all."""
        target = Path(path)
        sibling = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with sibling.open("wb") as stream:
                _write(stream, self._arrays())
            os.replace(sibling, target)
        finally:
            sibling.unlink(missing_ok=True)

    @staticmethod
    def load(path: Path | str) -> DomainModel:
        """Read what ``save`` wrote; as ``parse``."""
        file = Path(path)
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise _refused(file.name, f"it cannot be read ({error.strerror})") from error
        return DomainModel.parse(raw, file.name)

    @staticmethod
    def parse(raw: bytes, name: str) -> DomainModel:
        """Read the bytes that ``save`` wrote; ``name`` is what a person knows them by.

        Raises
        ------
        BundleError
            They are not those of a domain check.
        """
        arrays = parse_npz(raw, name)
        features, textures = _whitening(arrays, "features"), _whitening(arrays, "textures")
        if features is None or textures is None or textures.mean.shape != (LENGTH,):
            raise _refused(name, "its arrays are not those of a domain check")
        return DomainModel(features, textures)

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        parts = {"features": self.features, "textures": self.textures}
        return {
            f"{name}_{field}": np.asarray(getattr(part, field), dtype=np.float32)
            for name, part in parts.items()
            for field in ("mean", "axes", "limit")
        }


def fit(
    features: NDArray[np.floating],
    crops: NDArray[np.uint8],
    held_features: NDArray[np.floating] | None = None,
    held_crops: NDArray[np.uint8] | None = None,
) -> DomainModel:
    """Fit the check on training pictures and set its limits on held-out ones.

    Parameters
    ----------
    features : float (K, F)
        Pooled features of training pictures, K >= 10 (20 without held-out ones).
    crops : uint8 (K, H, W, 3)
        The crops that they are of.
    held_features, held_crops
        The same of pictures that were not trained on (other patients). None: every fifth of the training
        pictures is set aside, which makes the limits somewhat too tight or too loose if patients repeat.

    Raises
    ------
    TensorMismatchError
        Arrays do not belong together, are not finite, or are too few.
    """
    if held_features is None or held_crops is None:
        _check(features, crops, least=2 * MIN_PICTURES)
        held = np.arange(len(features)) % HELD_OUT_STEP == 0
        return fit(features[~held], crops[~held], features[held], crops[held])
    _check(features, crops)
    _check(held_features, held_crops, least=1)
    values, held_values = features.astype(np.float64), held_features.astype(np.float64)
    textures, held_textures = np.stack([texture(c) for c in crops]), np.stack([texture(c) for c in held_crops])
    by_features, by_texture = _principal(values), _shrunk(textures)
    by_features = _with_limit(by_features, by_features.distance(held_values))
    by_texture = _with_limit(by_texture, by_texture.distance(held_textures))
    both = np.maximum(by_features.distance(held_values), by_texture.distance(held_textures))
    return DomainModel(_with_limit(by_features, both), _with_limit(by_texture, both))


def _refused(name: str, because: str) -> BundleError:
    return BundleError(f"The domain check {name} cannot be used", because, "convert the model again")


def _write(stream: BinaryIO, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Write an npz array by array: the keywords of ``numpy.savez`` differ between its versions."""
    with ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _check(features: NDArray[np.floating], crops: NDArray[np.uint8], least: int = MIN_PICTURES) -> None:
    what = "The domain check cannot be fitted"
    if features.ndim != 2 or crops.ndim != 4 or len(features) != len(crops):
        because = f"features {features.shape} and crops {crops.shape} do not belong together"
        raise TensorMismatchError(what, because, "give (K, F) features and their (K, H, W, 3) crops")
    if len(features) < least:
        raise TensorMismatchError(what, f"there are only {len(features)} pictures", f"give at least {least}")
    if not np.all(np.isfinite(features)):
        raise TensorMismatchError(what, "a feature is not finite", "run the self-test of the model")


def _principal(values: Floats) -> Whitening:
    mean = values.mean(axis=0)
    _, scales, rows = np.linalg.svd(values - mean, full_matrices=False)
    deviations = scales / np.sqrt(max(1, len(values) - 1))
    count = max(1, min(MAX_COMPONENTS, len(values) // PICTURES_PER_COMPONENT, values.shape[1]))
    kept = deviations[:count] > max(1e-4 * deviations[0], 1e-9)
    kept[0] = True
    axes = rows[:count][kept].T / np.maximum(deviations[:count][kept], 1e-9)
    return Whitening(mean, axes, 1.0)


def _shrunk(values: Floats) -> Whitening:
    covariance = np.atleast_2d(np.cov(values, rowvar=False))
    diagonal = np.diag(np.diag(covariance))
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal + TEXTURE_FLOOR**2 * np.eye(len(covariance))
    axes = np.linalg.inv(np.linalg.cholesky(shrunk)).T
    return Whitening(values.mean(axis=0), axes, 1.0)


def _with_limit(part: Whitening, held_distances: Floats) -> Whitening:
    """Return the same whitening with the quantile of held-out distances as its new 1.0."""
    quantile = max(float(np.quantile(held_distances, QUANTILE)), 1e-6)
    return Whitening(part.mean, part.axes, part.limit * quantile)


def _whitening(arrays: dict[str, NDArray[np.generic]], name: str) -> Whitening | None:
    """Return the part of that name, or None if its arrays are missing, misshapen or not finite."""
    try:
        raw = [arrays[f"{name}_{field}"] for field in ("mean", "axes", "limit")]
    except KeyError:
        return None
    if any(array.dtype.kind != "f" or not np.all(np.isfinite(array.astype(np.float64))) for array in raw):
        return None
    mean, axes, limit = (array.astype(np.float64) for array in raw)
    if mean.ndim != 1 or axes.ndim != 2 or len(axes) != len(mean) or limit.shape != () or limit <= 0:
        return None
    return Whitening(mean, axes, float(limit))
