"""Images: follows where the ultrasound images of a stream are, from many frames, and which of two is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.imaging.evidence import EvidenceMemory
from edge_app.imaging.nudge import Nudge, nudged
from edge_app.imaging.presets import Presets
from edge_app.imaging.scene import Point, Sector
from edge_app.imaging.sector import SectorSearch
from engines.errors import UsageError


@dataclass(frozen=True, slots=True)
class ImageRules:
    """How often is looked, and when what was found changes; milliseconds of the stream's own time."""

    every_ms: float = 2000.0  # while the image moves; sooner where the screen around it changes
    settle_pictures: tuple[int, ...] = (1, 3, 8)  # look again when this many pictures have been gathered
    steps: int = 1  # of a search in one frame, while an image is known
    urgent_steps: int = 2  # while none is, or it is doubted
    same_place: float = 0.93  # overlap of two sectors that are one
    surer: float = 0.03  # confidence by which another outline of the same place must be the better one
    misses: int = 3  # searches without a sector before the known one is given up
    layout_share: float = 0.01  # of the screen around the images: more changes than a clock
    vanished_share: float = 0.05  # of the image that turns black at once
    moving: float = 0.03  # of an image: the live one of two
    stiller: float = 0.25  # times the movement of the live one: the other stands still


class ImageFinder:
    """Finds the images of one stream and holds on to them.

    Parameters
    ----------
    still : bool
        Every frame is a still of its own: each search runs to its end.
    rules : ImageRules or None
        How often to look.
    presets : Presets or None
        What the operator set right on known layouts; None: nothing, and nothing is kept.
    """

    def __init__(self, still: bool = False, rules: ImageRules | None = None, presets: Presets | None = None) -> None:
        self._still = still
        self.notice: str | None = None
        """A sentence for the operator: what was set could not be kept, or what was kept could not be read."""
        self._rules = rules or ImageRules()
        self._presets = presets or Presets()
        self.notice = self._presets.problem
        self.forget()

    def forget(self) -> None:
        """Begin anew, as with another stream or another size of picture; what was set on a layout is not forgotten."""
        self._memory = EvidenceMemory()
        self._search: SectorSearch | None = None
        self._searched_ms = -np.inf
        self._searches = 0
        self._misses = 0
        self._doubted = False
        self._active = 0
        self._chosen: Point | None = None
        self._nudge: Nudge | None = None
        self._found: tuple[Sector, ...] = ()
        self.images: tuple[Sector, ...] = ()
        """Every image on the screen, the one that is meant first."""
        self.undecided = False
        """Whether there are two images and nothing says which one is meant."""
        self.layout: str | None = None
        """Fingerprint of the screen around the images."""
        self.slices = 0
        """How many slices of work, of two or three milliseconds each, the last frame took."""

    @property
    def sector(self) -> Sector | None:
        """The image that is meant, or None where none is seen."""
        return self.images[0] if self.images else None

    def choose(self, point: Point) -> None:
        """Take the image at ``point``, frame pixels, for the one that is meant, until the stream is another."""
        self._chosen = point
        self._arrange()

    @property
    def small(self) -> tuple[NDArray[np.uint8], float] | None:
        """The last picture as ``evidence.shrink`` made it small, at most a few frames old."""
        return self._memory.newest

    @property
    def searched(self) -> Sector | None:
        """Where markers are looked for: the image that is meant, or all of them while nothing says which one is."""
        if not self.undecided:
            return self.sector
        boxes = np.array([image.bbox for image in self.images])
        bbox = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
        mask = np.logical_or.reduce([image.mask for image in self.images])
        return replace(self.images[0], kind="unknown", bbox=bbox, mask=mask)

    def together(self, ends: tuple[Point, Point]) -> bool:
        """Return whether both ends lie in one image: nothing is measured from one image to the other."""
        return len({self._nearest(end) for end in ends}) <= 1

    def measured(self, at: Point) -> None:
        """Take the image in which something was measured for the one that is meant."""
        self._active, self.undecided = self._nearest(at), False
        self._arrange()

    def _nearest(self, point: Point) -> int:
        return min(range(len(self._found)), key=lambda n: _distance(self._found[n], point), default=0)

    @property
    def by_hand(self) -> bool:
        """Whether the operator moved the border of the image."""
        return self._nudge is not None and bool(self.images)

    def move(self, by: Nudge | None) -> None:
        """Move the image's border by so much more, and keep that for this layout; None: as it is found."""
        self._nudge = None if by is None else by if self._nudge is None else self._nudge.and_then(by)
        self._arrange()
        if len(self._memory) > 0:
            self.layout = self._memory.layout(self.images)
        self._keep()

    def _keep(self) -> None:
        self.notice = None
        if self.layout is None:
            return
        try:
            self._presets.keep(self.layout, self._nudge)
        except UsageError as error:
            self.notice = error.sentence

    def look(self, frame: Frame, frozen: bool) -> bool:
        """Look at the next frame for some milliseconds. True: the images are others than before."""
        before = self.images
        taken = self._memory.add(frame.pixels, frame.t_ms)
        if taken:
            self._begin_if_due(frame, frozen)
            self._follow_movement()
        self.slices = int(taken)
        if not taken or self._whole:
            self._go_on()
        return self.images is not before

    @property
    def _whole(self) -> bool:
        """Whether the search that is due runs to its end at once."""
        return self._still or self._searches == 0

    def _begin_if_due(self, frame: Frame, frozen: bool) -> None:
        changed = self._memory.changed_around(self._found) > self._rules.layout_share
        changed = changed or self._memory.vanished(self._found) > self._rules.vanished_share
        if changed and len(self._memory) > 1:
            self._memory.keep_newest()
            self._doubted = True
        gathered = len(self._memory) in self._rules.settle_pictures and not self._memory.full
        settling = not frozen and gathered
        late = not frozen and frame.t_ms - self._searched_ms >= self._rules.every_ms
        wanted = not self._found or self._doubted or settling or late
        if changed or (wanted and self._search is None):
            self._searched_ms = frame.t_ms
            size = frame.pixels.shape[1], frame.pixels.shape[0]
            self._search = SectorSearch(self._memory.evidence(), size, frame.regions)

    def _go_on(self) -> None:
        if self._search is None:
            return
        steps = self._rules.urgent_steps if self._doubted or not self._found else self._rules.steps
        done = False
        while not done and (self._whole or steps > 0):
            done = self._search.step()
            self.slices += 1
            steps -= 1
        if done:
            found, self._search = self._search.images, None
            self._searches += 1
            self._weigh(found)

    def _weigh(self, found: tuple[Sector, ...]) -> None:
        """Adopt what was found, keep what is known, or wait for a second opinion."""
        if not found:
            self._misses += 1
            if not self._found or self._misses >= self._rules.misses:
                self._adopt(())
            return
        self._misses = 0
        known = self._found
        if not known or (self._doubted and not self._same(known, found)):
            self._adopt(found)
        elif self._same(known, found):
            surer = found[0].confidence > known[0].confidence + self._rules.surer
            if surer and not self._doubted:
                self._adopt(found)
            self._doubted = False
        else:
            self._memory.keep_newest()
            self._doubted = True

    def _same(self, known: tuple[Sector, ...], found: tuple[Sector, ...]) -> bool:
        if len(known) != len(found):
            return False
        pairs = zip(known, found, strict=True)
        return all(overlap(one.mask, other.mask) >= self._rules.same_place for one, other in pairs)

    def _adopt(self, found: tuple[Sector, ...]) -> None:
        if not found and not self._found and self.layout is not None:
            return
        self._found = found
        self._doubted = False
        self._active = min(self._active, max(0, len(found) - 1))
        self.undecided = len(found) > 1
        self.layout = self._memory.layout(found)
        preset = self._presets.find(self.layout)
        self._nudge = None if preset is None else preset.nudge
        self._arrange()

    def _follow_movement(self) -> None:
        """Of two images the one that moves is meant; where both stand still, the one that moved last."""
        if len(self._found) < 2 or self._chosen is not None:
            return
        movement = self._memory.movement(self._found)
        most = int(np.argmax(movement))
        others = max(share for number, share in enumerate(movement) if number != most)
        if movement[most] > self._rules.moving and others < self._rules.stiller * movement[most]:
            if most != self._active or self.undecided:
                self._active, self.undecided = most, False
                self._arrange()

    def _arrange(self) -> None:
        """Put the image that is meant first, where the operator wants it."""
        if not self._found:
            place = None if self._nudge is None else self._memory.middle()
            self.images = () if place is None or self._nudge is None else (nudged(place, self._nudge),)
            return
        if self._chosen is not None and len(self._found) > 1:
            self._active = min(range(len(self._found)), key=lambda n: _distance(self._found[n], self._chosen))
            self.undecided = False
        meant = self._found[self._active]
        others = tuple(image for image in self._found if image is not meant)
        self.images = (meant if self._nudge is None else nudged(meant, self._nudge), *others)


def _distance(image: Sector, point: Point | None) -> float:
    """Return how far a point lies from an image's box, pixels; 0 inside."""
    if point is None:
        return 0.0
    x0, y0, x1, y1 = image.bbox
    across, down = max(x0 - point[0], point[0] - x1, 0.0), max(y0 - point[1], point[1] - y1, 0.0)
    return float(np.hypot(across, down))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return intersection over union of two bool masks of one shape, from every fourth pixel."""
    a, b = one[::4, ::4], other[::4, ::4]
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0
