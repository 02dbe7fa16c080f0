"""Domain check: how unlike those that the model was made for a picture is.

Two Mahalanobis distances, each in units of its own limit; the larger counts. A graph of unknown origin may
have no pooled features: its check rests on texture alone.

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
    """A fitted domain check; ``features`` None: texture alone. Distance 1.0: the 99 % quantile of held-out pictures."""

    features: Whitening | None
    textures: Whitening

    def distance(self, features: NDArray[np.floating] | None, crop: NDArray[np.uint8]) -> float:
        """Return the distance of one picture; above 1.0 it is unlike those of the development data.

        Parameters
        ----------
        features : float (F,) or None
            Pooled features, all members side by side; None where it was fitted without.
        crop : uint8 (H, W, 3)
            RGB, what the model read.

        Raises
        ------
        TensorMismatchError
            The number of features, or the crop, is not as it was fitted.
        """
        given, wanted = _shape(features), None if self.features is None else self.features.mean.shape
        if given != wanted:
            raise TensorMismatchError(
                "The domain check cannot be made",
                f"there are {_told(given)} instead of {_told(wanted)}",
                "convert the model again",
            )
        distance = self.texture_distance(crop)
        if self.features is None or features is None:
            return distance
        return max(distance, float(self.features.distance(features.astype(np.float64)[None])[0]))

    def texture_distance(self, crop: NDArray[np.uint8]) -> float:
        """Return the distance of one picture, uint8 (H, W, 3) RGB, by its texture alone."""
        return float(self.textures.distance(texture(crop)[None])[0])

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
        with_features = any(field.startswith("features_") for field in arrays)
        if textures is None or textures.mean.shape != (LENGTH,) or (features is None and with_features):
            raise _refused(name, "its arrays are not those of a domain check")
        return DomainModel(features, textures)

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        parts = {"features": self.features, "textures": self.textures}
        return {
            f"{name}_{field}": np.asarray(getattr(part, field), dtype=np.float32)
            for name, part in parts.items()
            if part is not None
            for field in ("mean", "axes", "limit")
        }


def fit(
    features: NDArray[np.floating] | None,
    crops: NDArray[np.uint8],
    held_features: NDArray[np.floating] | None = None,
    held_crops: NDArray[np.uint8] | None = None,
) -> DomainModel:
    """Fit the check on training pictures and set its limits on held-out ones.

    Parameters
    ----------
    features : float (K, F) or None
        Pooled features of training pictures, K >= 10 (20 without held-out ones); None: texture alone.
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
    if held_crops is None:
        _check(features, crops, least=2 * MIN_PICTURES)
        held = np.arange(len(crops)) % HELD_OUT_STEP == 0
        rows = (None, None) if features is None else (features[~held], features[held])
        return fit(rows[0], crops[~held], rows[1], crops[held])
    _check(features, crops)
    _check(held_features, held_crops, least=1)
    _check_both(features, held_features)
    by_texture, distances = _limited(_shrunk(_textures(crops)), _textures(held_crops))
    if features is None or held_features is None:
        return DomainModel(None, by_texture)
    by_features, others = _limited(_principal(features.astype(np.float64)), held_features.astype(np.float64))
    both = np.maximum(distances, others)
    return DomainModel(_with_limit(by_features, both), _with_limit(by_texture, both))


def _textures(crops: NDArray[np.uint8]) -> Floats:
    return np.stack([texture(crop) for crop in crops])


def _told(shape: tuple[int, ...] | None) -> str:
    return "no features" if shape is None else f"features of shape {shape}"


def _shape(features: NDArray[np.floating] | None) -> tuple[int, ...] | None:
    return None if features is None else features.shape


def _refused(name: str, because: str) -> BundleError:
    return BundleError(f"The domain check {name} cannot be used", because, "convert the model again")


def _write(stream: BinaryIO, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Write an npz array by array: the keywords of ``numpy.savez`` differ between its versions."""
    with ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _check(features: NDArray[np.floating] | None, crops: NDArray[np.uint8], least: int = MIN_PICTURES) -> None:
    what = "The domain check cannot be fitted"
    if crops.ndim != 4 or (features is not None and (features.ndim != 2 or len(features) != len(crops))):
        because = f"{_told(_shape(features))} and crops {crops.shape} do not belong together"
        raise TensorMismatchError(what, because, "give (K, F) features and their (K, H, W, 3) crops")
    if len(crops) < least:
        raise TensorMismatchError(what, f"there are only {len(crops)} pictures", f"give at least {least}")
    if features is not None and not np.all(np.isfinite(features)):
        raise TensorMismatchError(what, "a feature is not finite", "run the self-test of the model")


def _check_both(features: NDArray[np.floating] | None, held: NDArray[np.floating] | None) -> None:
    lengths = {None if rows is None else rows.shape[1] for rows in (features, held)}
    if len(lengths) > 1:
        because = f"there are {_told(_shape(features))} to fit and {_told(_shape(held))} held out"
        raise TensorMismatchError("The domain check cannot be fitted", because, "give the same features of both")


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


def _limited(part: Whitening, held: Floats) -> tuple[Whitening, Floats]:
    """Return the whitening with its limit set on held-out rows, and the distances of these rows by it."""
    limited = _with_limit(part, part.distance(held))
    return limited, limited.distance(held)


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
