"""The table of states, and the supervisor led through it in any order, with a paper worker and a clock set by hand."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_app.live import states
from edge_app.live.messages import (
    Failed,
    Heartbeat,
    Lost,
    Message,
    Opened,
    Recovered,
    Recovering,
    SourceDown,
    SourceSummary,
    Started,
)
from edge_app.live.states import TABLE, WITHOUT_PICTURE, Event, Phase, after, wait_s

from .test_live_supervisor_states import Stage

SOURCE = SourceSummary(uri="paper:", title="Paper", live=True, fps=25.0, size=(32, 32))
AT_ONCE_S = 0.55  # until the window is told; it polls every 50 ms here


@pytest.mark.parametrize("phase", sorted(set(get_args(Phase)) - {"closed"}))
def test_every_state_can_be_reached_and_closed(phase: Phase) -> None:
    assert after(phase, "close") == "closed"
    reached: set[Phase] = {"idle"}
    for _ in TABLE:
        reached |= {to for (start, _), to in TABLE.items() if start in reached}
    assert phase in reached


def test_what_has_failed_or_was_closed_stays_so() -> None:
    for event in get_args(Event):
        assert after("closed", event) == "closed"
        assert after("failed", event) == ("closed" if event == "close" else "failed")


def test_the_pause_doubles_up_to_a_quarter_of_a_minute() -> None:
    assert [wait_s(attempt) for attempt in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


@given(st.integers(1, 10**9))
def test_no_pause_is_longer_however_often_it_failed(attempt: int) -> None:
    assert 0.5 <= wait_s(attempt) <= 15.0


class Life(RuleBasedStateMachine):
    """Anything may happen to worker and source; what the window is told must be true and in order."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.stage = Stage(self.patch)
        self.flowing = False  # the source gives pictures
        self.beating = True  # the worker speaks
        self.call: str | None = None
        self.called_s, self.caller = 0.0, self.stage.workers[-1]
        self.frames = 0
        self.fresh_s = self.stage.now_s  # when all was last well, or when that began to be known

    def teardown(self) -> None:
        self.stage.supervisor.close()
        assert self.stage.supervisor.status.phase == "closed"
        assert all(worker.killed for worker in self.stage.workers)
        self.patch.undo()

    @property
    def phase(self) -> Phase:
        return self.stage.supervisor.status.phase

    def turn(self, seconds: float) -> None:
        """Let time pass: the worker beats every 0.1 s if it can, the window polls every 0.05 s."""
        for _ in range(round(seconds / 0.05)):
            worker = self.stage.workers[-1]
            if self.beating and not worker.dead and not worker.killed:
                self.frames += self.flowing
                self.called_s = self.called_s if self.call and worker is self.caller else self.stage.now_s
                self.caller, call_s = worker, self.stage.now_s - self.called_s
                beat = Heartbeat(frames=self.frames, call="read" if self.call else None, call_s=call_s, lasting=True)
                self.stage.say(beat)
            self.stage.wait(0.05)
            if self.flowing and self.beating and not worker.dead:
                self.fresh_s = self.stage.now_s

    @initialize()
    def start(self) -> None:
        self.turn(0.2)

    @rule()
    def the_worker_is_ready(self) -> None:
        self.flowing = self.beating = True
        self.call = None
        self.stage.say(Opened(source=SOURCE), Started(pid=1, source=SOURCE, model=None))
        self.turn(0.3)

    @rule(attempt=st.integers(1, 9))
    def the_source_fails(self, attempt: int) -> None:
        self.flowing = False
        self.stage.say(SourceDown(reason="The cable is out.", attempt=attempt, wait_s=wait_s(attempt)))
        self.turn(0.1)
        assert self.phase in ("recovering", "failed", "starting")  # starting: the worker had died before

    @rule()
    def the_source_is_opened_again(self) -> None:
        self.flowing, self.call = True, None
        self.stage.say(Opened(source=SOURCE))
        self.turn(0.3)

    @rule()
    def the_pictures_stop(self) -> None:
        self.flowing = False
        self.turn(0.3)

    @rule()
    def the_source_hangs(self) -> None:
        self.flowing, self.call = False, "read"
        self.turn(0.3)

    @rule()
    def the_worker_hangs(self) -> None:
        self.beating = False
        self.turn(0.3)

    @rule()
    def the_worker_goes_on(self) -> None:
        self.beating = True
        self.turn(0.2)

    @rule()
    def the_worker_dies(self) -> None:
        self.stage.workers[-1].dead = True
        self.turn(0.1)
        assert self.phase != "running"

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 12.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.turn(seconds)

    @precondition(lambda self: self.phase not in ("failed", "closed"))
    @rule()
    def all_is_well_again(self) -> None:
        """Whatever was before: a worker that is ready, and pictures, end every loss."""
        self.call, self.beating = None, True
        self.turn(16.0 if self.stage.workers[-1].dead or self.stage.workers[-1].killed else 0.0)
        if self.phase == "failed":
            return
        self.flowing = self.beating = True
        self.call = None
        self.stage.say(Opened(source=SOURCE), Started(pid=1, source=SOURCE, model=None))
        self.turn(0.5)
        assert self.phase == "running"

    @invariant()
    def an_old_picture_is_never_called_running(self) -> None:
        if self.phase == "running":
            assert self.stage.now_s - self.fresh_s <= AT_ONCE_S

    @invariant()
    def only_the_newest_worker_lives(self) -> None:
        assert all(worker.killed for worker in self.stage.workers[:-1])

    @invariant()
    def the_window_is_told_in_order(self) -> None:
        """No recovery without a loss, nothing after the end, and the state that was said last is the state."""
        told: list[Message] = [
            m for m in self.stage.heard if isinstance(m, (Lost, Recovering, Recovered, Started, Failed))
        ]
        lost = failed = False
        for message in told:
            assert not failed
            if isinstance(message, Lost):
                lost = True
            elif isinstance(message, (Recovering, Recovered)):
                assert lost
                lost = isinstance(message, Recovering)
            elif isinstance(message, Started):
                lost = False
            else:
                failed = True
        if self.phase in WITHOUT_PICTURE:
            assert lost
        if self.phase == "running":
            assert not lost
        assert failed == (self.phase == "failed")


Life.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLife = Life.TestCase


def test_the_page_of_states_names_every_state() -> None:
    assert states.__doc__ is not None
    for phase in sorted(set(get_args(Phase)) - {"idle"}):
        assert f"\n{phase} " in states.__doc__
