"""What is collected goes through the app's door: black outside the image, words in it hidden, the change said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from convert.crops import door as door_module
from convert.crops.collect import CollectPlan, collect
from convert.crops.door import Changes, open_door
from convert.crops.gather import Wish
from convert.progress import silent
from edge_app.capture.base import frames
from edge_app.capture.open import open_source
from engines.errors import UsageError
from engines.manifest import InputSpec

from .crops_makers import picture, save, write_table

SPEC = InputSpec(name="crops", height=64, width=64, crop_mode="square")
ENDS = {"x1": "170", "y1": "150", "x2": "470", "y2": "150"}  # the crop begins in the header, above the image
HEADER = (30, 90)  # rows of the name


def screen(seed: int, inside: str = "") -> NDArray[np.uint8]:
    """A fan of speckle under a header with a name, 640 x 480."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (480, 640)).astype(np.float32), (0, 0), 2.5)
    y, x = np.mgrid[:480, :640].astype(np.float64)
    radius, angle = np.hypot(x - 320, y + 10), np.arctan2(x - 320, y + 10)
    fan = (np.abs(angle) < 0.6) & (radius > 130) & (radius < 460)
    grey = np.where(fan, np.clip(60 + 9 * noise / noise.std(), 10, 240), 0).astype(np.uint8)
    pixels = np.ascontiguousarray(np.dstack([grey] * 3))
    cv2.putText(pixels, "ROE JANE 1950", (190, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
    if inside:
        cv2.putText(pixels, inside, (230, 320), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    return pixels


def test_a_screen_comes_back_black_around_its_image_and_without_the_name_in_it() -> None:
    pytest.importorskip("rapidocr", reason="words are looked for by RapidOCR, which is not installed")
    with open_source("phantom:look=ge,size=960x720,cycle=live,frames=1") as source:
        pixels = next(frames(source)).pixels.copy()
    for at in ((330, 400), (20, 40)):
        cv2.putText(pixels, "KOWALSKI ANNA", at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(pixels, "KOWALSKI ANNA", at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    with open_door(reads=True) as door:
        masked = door.masked(pixels, "screen")
        crop = door.masked(np.ascontiguousarray(pixels[250:550, 300:600]), "crop")
    assert not isinstance(masked, str) and not isinstance(crop, str)
    assert masked[15:45, 20:260].max() == 0
    assert (masked[380:402, 332:560] == 0).mean() > 0.9, "the name over the tissue"
    assert (crop[130:152, 32:260] == 0).mean() > 0.9
    assert masked[300:360, 400:500].any()


def test_a_set_of_screens_is_masked_and_says_what_that_has_changed(tmp_path: Path) -> None:
    rows = []
    for at in range(204):
        pixels = screen(at) if at < 202 else np.zeros((480, 640, 3), np.uint8)
        save(tmp_path / "in" / f"f{at}.png", pixels)
        rows.append({"frame": f"f{at}.png", "patient": f"p{at}", **ENDS})
    write_table(tmp_path / "in" / "labels.csv", rows)
    with open_door(reads=False) as door:
        crops = collect(CollectPlan((tmp_path / "in",), tmp_path / "set", Wish(SPEC, door=door)), silent)
    assert len(crops) == 202
    said = " ".join(crops.remarks)
    assert "2 screens were left out because no ultrasound image is seen" in said
    assert "Masking changed 202 of 202 crops, by" in said and "grey levels" in said
    assert "Words in the crops were not looked for" in said
    written = cv2.imread(str(next((tmp_path / "set" / "crops").iterdir())))
    assert written is not None
    top = written[: 64 * (HEADER[1]) // 300]
    assert top.max() == 0, "the name above the image is not on the disk"
    assert written[40].any()
    assert not [one for one in psutil.Process().children() if "edge_app.redacting" in " ".join(one.cmdline())]


def test_a_door_that_breaks_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="the app's process ended") as caught, open_door(reads=False) as door:
        for child in psutil.Process().children():
            if "edge_app.redacting" in " ".join(child.cmdline()):
                child.kill()
        door.masked(picture(1, 640, 480), "screen")
    assert "echogfr doctor" in caught.value.cure
    monkeypatch.setattr(door_module.sys, "executable", "/nowhere/python")
    with pytest.raises(UsageError, match="the app cannot be started"), open_door(reads=False):
        pass


def test_what_masking_changes_is_counted() -> None:
    before = np.full((10, 10, 3), 100, np.uint8)
    after = before.copy()
    after[:5] = 0
    changes = Changes()
    changes.note(before, before)
    assert changes.sentence == "Masking changed none of 1 crops."
    changes.note(before, after)
    assert "changed 1 of 2 crops, by 50.0 % of their pixels" in changes.sentence
    assert "50.0 grey levels" in changes.sentence
