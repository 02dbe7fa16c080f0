"""Proposed poles: shown only when they are sure and repeated, never read before a person accepted them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.bundles import SHIPPED_LOCALIZER
from edge_app.capture.base import Frame
from edge_app.capture.open import open_source
from edge_app.capture.phantom import PhantomTruth
from edge_app.imaging.scene import Scale, Scene
from edge_app.live.messages import Poles
from edge_app.live.pipeline import Pipeline, PipelineSettings
from edge_app.live.proposing import Proposer, open_proposer
from edge_app.live.report import ProposalReport
from engines.bundle import Bundle, open_bundle
from engines.errors import BundleError, InferenceError
from engines.localizer import Proposal
from tests.live.live_makers import SIZE, scene

GOOD = Proposal((100.0, 150.0), (300.0, 150.0), 0.9, 0.5)
BARE = replace(scene(), calipers=(), frozen=False)


@dataclass
class Script:
    """A finder that proposes what it is told, one search after another; the last one for ever."""

    bundle: Bundle
    proposals: list[Proposal]
    searches: int = field(default=0)

    def propose(
        self, pixels: NDArray[np.uint8], bbox: tuple[int, int, int, int], inside: NDArray[np.bool_]
    ) -> Proposal:
        found = self.proposals[min(self.searches, len(self.proposals) - 1)]
        self.searches += 1
        return found


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return open_bundle(SHIPPED_LOCALIZER)


def frame(index: int) -> Frame:
    return Frame(index, index * 100.0, np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


def shown(bundle: Bundle, proposals: list[Proposal], seen: Scene = BARE, count: int = 6) -> list[bool]:
    proposer = Proposer(Script(bundle, proposals))
    return [proposer.consider(frame(index), seen) is not None for index in range(count)]


def test_a_proposal_is_shown_when_three_searches_agree(shipped: Bundle) -> None:
    assert shown(shipped, [GOOD]) == [False, False, True, True, True, True]


def test_an_unsure_or_restless_network_proposes_nothing(shipped: Bundle) -> None:
    away = replace(GOOD, first=(160.0, 150.0))
    assert not any(shown(shipped, [replace(GOOD, confidence=0.55)]))
    assert not any(shown(shipped, [GOOD, away, GOOD, away, GOOD, away]))


def test_a_shown_proposal_outlives_a_doubt_and_goes_after_three_misses(shipped: Bundle) -> None:
    doubt, miss = replace(GOOD, confidence=0.5), replace(GOOD, confidence=0.1)
    assert shown(shipped, [GOOD, GOOD, GOOD, doubt, miss, miss, miss], count=7) == [False, False, *[True] * 4, False]


def test_a_strange_picture_or_length_is_not_proposed_on(shipped: Bundle) -> None:
    assert not any(shown(shipped, [replace(GOOD, domain_distance=1.2)]))
    assert not any(shown(shipped, [GOOD], replace(BARE, scale=Scale(100.0, "ruler", 0.9))))  # 2 cm


def test_a_synthetic_localizer_is_silent_on_a_patients_picture(shipped: Bundle) -> None:
    finder = Script(shipped, [GOOD])
    proposer = Proposer(finder)
    assert [proposer.consider(frame(index), replace(BARE, synthetic=False)) for index in range(5)] == [None] * 5
    assert finder.searches == 0


def test_where_the_scanner_has_measured_nothing_is_proposed(shipped: Bundle) -> None:
    assert not any(shown(shipped, [GOOD], scene()))


def test_a_network_that_fails_proposes_nothing(shipped: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Script(shipped, [GOOD])

    def fail(*_: object) -> Proposal:
        raise InferenceError("It failed", "of a test", "none")

    monkeypatch.setattr(finder, "propose", fail)
    assert Proposer(finder, confirm=1).consider(frame(0), BARE) is None


class Watched:
    """An observer that sees the same scene in each frame."""

    timings_ms: dict[str, float] = {}  # noqa: RUF012 - never changed

    def observe(self, frame: Frame) -> Scene:
        return replace(BARE, frame_index=frame.index, t_ms=frame.t_ms, frozen=True)


def test_nothing_is_read_from_a_proposal_until_it_is_accepted(shipped: Bundle) -> None:
    line = Pipeline(None, PipelineSettings(), Watched(), Proposer(Script(shipped, [GOOD]), confirm=1))
    proposed = line.process(frame(0)).report
    assert isinstance(proposed.proposal, ProposalReport)
    assert proposed.proposal.localizer.startswith("synthetic-localizer ")
    assert (proposed.crop, proposed.refusal and proposed.refusal.code) == (None, "no_calipers")
    x1, y1, x2, y2 = proposed.proposal.poles
    line.set_poles(Poles(x1=x1, y1=y1, x2=x2, y2=y2, proposed=True))
    accepted = line.process(frame(1)).report
    assert accepted.proposal is None
    assert accepted.crop is not None
    assert (accepted.crop.basis, accepted.crop.poles) == ("proposed-accepted", proposed.proposal.poles)
    line.set_poles(Poles(x1=x1, y1=y1, x2=x2 - 5, y2=y2))  # moved by hand
    moved = line.process(frame(2)).report.crop
    assert moved is not None
    assert moved.basis == "poles"


def test_off_is_off_and_a_reader_is_no_localizer() -> None:
    with open_proposer("off") as proposer:
        assert proposer is None
    reader = SHIPPED_LOCALIZER.with_name("synthetic-standin")
    with pytest.raises(BundleError, match="give a localizer's bundle"), open_proposer(reader):
        pass


def test_poles_that_were_placed_on_an_earlier_picture_catch_up_with_the_kidney() -> None:
    """The hand is behind: what was on the kidney in frame 4 is on it in frame 8 as well."""
    errors = []
    for named in (4, None):
        line = Pipeline(None)
        with open_source("phantom:seed=6,size=960x720,fps=10,cycle=live,frames=9") as source:
            frames = [frame for frame in iter(source.read, None) if frame is not None]
        for frame in frames[:8]:
            line.process(frame)
        before, now = frames[4].truth, frames[8].truth
        assert isinstance(before, PhantomTruth) and isinstance(now, PhantomTruth)
        (x1, y1), (x2, y2) = before.poles
        line.set_poles(Poles(x1=x1, y1=y1, x2=x2, y2=y2, frame=named))
        tracking = line.process(frames[8]).report.tracking
        assert tracking is not None
        errors.append(float(np.abs(np.subtract(tracking.poles[:2], now.poles[0])).max()))
    assert errors[1] > 8.0, "the kidney has moved"
    assert errors[0] < 0.3 * errors[1]
