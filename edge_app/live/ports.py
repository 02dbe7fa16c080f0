"""Ports: what the pipeline needs of those who see and those who read."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.imaging.nudge import Nudge
from edge_app.imaging.scene import Point, Scene
from engines.manifest import BundleManifest
from engines.reading import Reading


class CropReader(Protocol):
    """What the pipeline needs of ``engines.reading.Reader``."""

    @property
    def manifest(self) -> BundleManifest:
        """Crop mode and size, domain limit, synthetic or not."""
        ...

    def read(self, crop: NDArray[np.uint8]) -> Reading:
        """Read one crop."""
        ...

    def read_member(self, crop: NDArray[np.uint8], member: int, checked: Reading) -> Reading:
        """Read one crop with one member; asked for only where ``PipelineSettings.rotate`` is set."""
        ...


class Observer(Protocol):
    """What the pipeline needs of ``edge_app.imaging.observer.SceneObserver``."""

    @property
    def timings_ms(self) -> dict[str, float]:
        """Of the last call, by stage."""
        ...

    def observe(self, frame: Frame) -> Scene:
        """Say what is seen in the next frame of the stream."""
        ...

    def choose(self, point: Point) -> None:
        """Read the image at this place where there are two."""
        ...

    def move(self, by: Nudge | None) -> None:
        """Move the image's border by so much more; None: as it is found."""
        ...
