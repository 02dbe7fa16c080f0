"""Proposing: where the poles of a kidney may be, for the operator to accept; nothing is read from a proposal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.bundles import SHIPPED_LOCALIZER, admit_bundle, bundle_path
from edge_app.bundles.locks import in_use
from edge_app.capture.base import Frame
from edge_app.imaging.quality import RULES
from edge_app.imaging.scene import Scene, Sector
from edge_app.live.report import ProposalReport
from engines import runtimes, selftest
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle, open_bundle
from engines.errors import InferenceError
from engines.localizer import Localizer, Proposal, require_localizer
from engines.trust import Policy

OFF = "off"


class Finder(Protocol):
    """What proposing needs of ``engines.localizer.Localizer``."""

    @property
    def bundle(self) -> Bundle:
        """Name, version, limit of the domain, synthetic or not."""
        ...

    def propose(
        self, pixels: NDArray[np.uint8], bbox: tuple[int, int, int, int], inside: NDArray[np.bool_]
    ) -> Proposal:
        """Propose poles in one frame."""
        ...


@dataclass(frozen=True, slots=True)
class ProposalRules:
    """When a proposal is shown. Times are the stream's own; ``same`` is a share of the distance of the poles."""

    every_ms: float = 60.0  # between two searches: 15 a second
    show: float = 0.6  # confidence from which a proposal counts
    keep: float = 0.45  # confidence down to which a proposal that is shown stays
    same: float = 0.08  # how far the poles of two searches of one kidney lie apart
    confirm: int = 3  # searches in a row that agree, before anything is shown
    misses: int = 3  # searches in a row without it, before it goes


class Proposer:
    """Watches one stream; lives on the thread of its finder's session. ``confirm`` None: as in the rules."""

    def __init__(self, finder: Finder, confirm: int | None = None, rules: ProposalRules | None = None) -> None:
        self._finder = finder
        self._rules = rules or ProposalRules()
        self._confirm = self._rules.confirm if confirm is None else confirm
        self.forget()

    @property
    def told(self) -> str:
        """What proposes, for a person."""
        manifest = self._finder.bundle.manifest
        return f"{manifest.title} ({manifest.bundle_id} {manifest.version})"

    def forget(self) -> None:
        """Begin anew: poles are known, or the picture is another one."""
        self._last: Proposal | None = None
        self._agreed = self._missed = 0
        self._shown = False
        self._searched_ms = -np.inf

    def consider(self, frame: Frame, scene: Scene) -> ProposalReport | None:
        """Return the proposal that may be shown with this frame, if any.

        A synthetic localizer proposes on synthetic pictures alone, and a trained one on patients' alone
        (docs/decisions/0004).
        """
        manifest = self._finder.bundle.manifest
        if scene.calipers or scene.sector is None or scene.synthetic != manifest.synthetic:
            self.forget()
            return None
        if frame.t_ms - self._searched_ms >= self._rules.every_ms:
            self._searched_ms = frame.t_ms
            self._weigh(self._search(frame, scene, scene.sector))
        if not self._shown or self._last is None:
            return None
        found, name = self._last, f"{manifest.bundle_id} {manifest.version}"
        return ProposalReport(
            poles=(*found.first, *found.second), confidence=round(found.confidence, 3), localizer=name
        )

    def _search(self, frame: Frame, scene: Scene, sector: Sector) -> Proposal | None:
        """Return what the network proposes, if it is sure and the picture and the length are of its kind."""
        try:
            found = self._finder.propose(frame.pixels, sector.bbox, sector.mask)
        except InferenceError:
            return None  # a proposal less: whatever ails the runtime is said by the reader, which needs it as well
        least = self._rules.keep if self._shown else self._rules.show
        if found.confidence < least or found.domain_distance > self._finder.bundle.manifest.domain.limit:
            return None
        shortest_cm, longest_cm = RULES.length_cm
        if scene.scale is not None and not shortest_cm <= _length(found) / scene.scale.px_per_cm <= longest_cm:
            return None
        return found

    def _weigh(self, found: Proposal | None) -> None:
        if found is None or (self._last is not None and not self._same(self._last, found)):
            self._missed += 1
            self._agreed = 0
            if self._missed >= self._rules.misses or not self._shown:
                self._shown, self._last = False, found
                self._agreed = int(found is not None)
        else:
            self._missed = 0
            self._agreed += 1
            self._last = found
        self._shown = self._shown or (self._last is not None and self._agreed >= self._confirm)

    def _same(self, one: Proposal, other: Proposal) -> bool:
        pairs = ((one.first, other.first), (one.second, other.second))
        return all(hypot(a[0] - b[0], a[1] - b[1]) <= self._rules.same * _length(one) for a, b in pairs)


@contextmanager
def open_proposer(
    asked: Path | str | None, signatures: Policy | None = None, *, stills: bool = False
) -> Iterator[Proposer | None]:
    """Open a localizer's bundle and one session on one core, and insist on the self-test; None if it is ``off``.

    ``asked`` None is the synthetic localizer that ships with the app.

    Raises
    ------
    EchoGFRError
        The bundle is no localizer, or it, its signature, the runtime or the self-test failed.
    """
    if asked is not None and str(asked) == OFF:
        yield None
        return
    path = SHIPPED_LOCALIZER if asked is None else bundle_path(asked)
    with in_use(path):
        bundle = open_bundle(path)
        require_localizer(bundle)
        admit_bundle(bundle, signatures)
        selection = runtimes.select(bundle, "onnxruntime")
        with OnnxSession(bundle, selection.artifacts, threads=1) as session:
            selftest.run(bundle, session)
            yield Proposer(Localizer(bundle, session), confirm=1 if stills else None)


def _length(found: Proposal) -> float:
    return hypot(found.second[0] - found.first[0], found.second[1] - found.first[1])
