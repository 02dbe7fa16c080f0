"""Another scanner on the same cable, in mid-stream: its image is found anew within half a second."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from edge_app.capture.base import Frame, frames
from edge_app.capture.open import open_source
from edge_app.imaging.images import overlap
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.sector import find_sector


def stream(look: str, size: str, count: int) -> list[Frame]:
    with open_source(f"phantom:look={look},size={size},seed=3") as source:
        return list(islice(frames(source), count))


@pytest.mark.parametrize(
    ("before", "after"), [(("ge", "640x480"), ("philips", "640x480")), (("canon", "640x480"), ("ge", "1280x960"))]
)
def test_the_image_of_another_screen_is_found_within_half_a_second(
    before: tuple[str, str], after: tuple[str, str]
) -> None:
    observer, t_ms = SceneObserver(), 0.0
    for frame in stream(*before, 15):
        assert observer.observe(replace(frame, t_ms=t_ms)).sector is not None
        t_ms += 33.0
    new = stream(*after, 15)
    truth = find_sector(new[-1].pixels)
    assert truth is not None
    found = [observer.observe(replace(frame, t_ms=t_ms + 33.0 * n)).sector for n, frame in enumerate(new)]
    assert all(sector is None or sector.mask.shape == truth.mask.shape for sector in found)
    last = found[-1]  # 0.46 s after the change
    assert last is not None and overlap(last.mask, truth.mask) > 0.93
