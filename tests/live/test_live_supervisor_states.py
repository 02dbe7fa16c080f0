"""The supervisor's states, with a worker made of paper and a clock that is set by hand."""

from __future__ import annotations

from multiprocessing import Pipe
from types import SimpleNamespace

import pytest

from edge_app.live import process
from edge_app.live import supervisor as supervisor_module
from edge_app.live.link import LinkError
from edge_app.live.messages import (
    DownMessage,
    Ended,
    Failed,
    Heartbeat,
    Lost,
    Message,
    NeedRing,
    Recovered,
    SourceSummary,
    Started,
    UpMessage,
    WorkerPlan,
)
from edge_app.live.supervisor import START_HANG_S, STEADY_S, Supervisor

SOURCE = SourceSummary(uri="paper:", title="Paper", live=True, fps=25.0, size=(32, 32))
STARTED = Started(pid=1, source=SOURCE, model=None)


class PaperWorker:
    """What the supervisor sees of a worker; the test writes its messages."""

    def __init__(self, plan: WorkerPlan, heard_s: float) -> None:
        self.plan, self.heard_s, self.pid = plan, heard_s, 4711
        self.dead = self.killed = False
        self.up: list[UpMessage] = []
        self.down: list[DownMessage] = []

    def messages(self) -> list[UpMessage]:
        said, self.up = self.up, []
        return said

    def send(self, message: DownMessage) -> bool:
        self.down.append(message)
        return True

    def kill(self) -> None:
        self.killed = True

    def gone(self) -> bool:
        return self.killed

    def bury(self) -> None:
        self.killed = True

    def end(self, timeout_s: float) -> None:
        self.killed = True


class Stage:
    """A supervisor, its paper workers and the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        self.workers: list[PaperWorker] = []
        self.launch_error: OSError | None = None
        self.heard: list[Message] = []
        monkeypatch.setattr(supervisor_module, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(supervisor_module, "WorkerProcess", self._make)
        self.supervisor = Supervisor(WorkerPlan(source="paper:"))
        self.supervisor.start()

    def _make(self, plan: WorkerPlan) -> PaperWorker:
        if self.launch_error is not None:
            raise self.launch_error
        self.workers.append(PaperWorker(plan, self.now_s))
        return self.workers[-1]

    def say(self, *messages: UpMessage) -> None:
        self.workers[-1].heard_s = self.now_s
        self.workers[-1].up += messages

    def wait(self, seconds: float, beating: bool = False) -> None:
        """Poll every 50 ms for so long; a beating worker captures a frame each time."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 0.05
            if beating:
                self.say(Heartbeat(frames=int(self.now_s * 20)))
            self.heard += self.supervisor.poll()

    def failures(self) -> list[Failed]:
        return [message for message in self.heard if isinstance(message, Failed)]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_a_source_that_fails_before_the_model_is_ready_stays_failed(stage: Stage) -> None:
    stage.say(Failed(scope="source", sentence="The file broke."))
    stage.wait(0.1)
    stage.say(STARTED)
    stage.wait(2.0)
    assert stage.supervisor.status.phase == "failed"
    assert not any(isinstance(message, Lost) for message in stage.heard), "nobody is sent to look for a cable"


def test_a_worker_that_never_speaks_is_given_up(stage: Stage) -> None:
    stage.wait(10 * (START_HANG_S + 5.0))
    assert [failure.scope for failure in stage.failures()] == ["worker"]
    assert len(stage.workers) == 1 + len(supervisor_module.RESTARTS_S)
    assert all(worker.killed for worker in stage.workers)


def test_a_worker_that_ran_for_long_gets_all_its_restarts_again(stage: Stage) -> None:
    for _ in range(2 * len(supervisor_module.RESTARTS_S) + 2):
        stage.say(STARTED)
        stage.wait(STEADY_S + 1.0, beating=True)
        stage.workers[-1].dead = True
        stage.wait(0.2)
    assert stage.failures() == []


def test_a_process_that_cannot_be_started_is_tried_again_and_then_given_up(stage: Stage) -> None:
    stage.launch_error = OSError("no more processes")
    stage.workers[-1].dead = True
    stage.wait(20.0)
    assert [failure.scope for failure in stage.failures()] == ["worker"]
    assert stage.supervisor.status.phase == "failed"


def test_without_room_for_the_picture_the_worker_is_ended_and_it_is_said_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(frame_bytes: int) -> None:
        raise LinkError("The picture cannot be shown", "there is no room", "enlarge it")

    monkeypatch.setattr(supervisor_module, "Ring", no_room)
    stage.say(STARTED)
    for _ in range(3):
        stage.say(NeedRing(frame_bytes=100))
        stage.wait(1.0, beating=True)
    assert [failure.sentence for failure in stage.failures()] == [
        "The picture cannot be shown, because there is no room: enlarge it."
    ]
    assert stage.supervisor.status.phase == "failed"
    assert stage.workers[-1].killed, "it would fill pictures that nobody sees"


def test_a_source_whose_picture_stands_still_is_lost_and_comes_back(stage: Stage) -> None:
    stage.say(STARTED)
    stage.wait(1.0, beating=True)
    for _ in range(10):
        stage.say(Heartbeat(frames=1))
        stage.wait(0.05)
        stage.now_s += 0.05
    assert [message.cause for message in stage.heard if isinstance(message, Lost)] == ["no_frames"]
    assert stage.supervisor.status.phase == "lost"
    stage.wait(0.2, beating=True)
    assert any(isinstance(message, Recovered) for message in stage.heard)
    assert stage.supervisor.status.phase == "running"
    assert len(stage.workers) == 1, "the cable was loose, not the worker"


def test_a_source_that_has_ended_may_stand_still(stage: Stage) -> None:
    stage.say(STARTED, Ended(frames=1))
    for _ in range(20):
        stage.say(Heartbeat(frames=1))
        stage.wait(0.1)
    assert not any(isinstance(message, Lost) for message in stage.heard)


def test_a_computer_that_slept_blames_nobody(stage: Stage) -> None:
    stage.say(STARTED)
    stage.wait(1.0, beating=True)
    stage.now_s += 3600.0
    stage.wait(0.05)
    stage.wait(1.0, beating=True)
    assert not any(isinstance(message, Lost) for message in stage.heard)
    assert len(stage.workers) == 1


def test_a_message_that_claims_to_be_immense_ends_the_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_MESSAGE_BYTES", 10)
    there, here = Pipe(duplex=False)
    here.send_bytes(b"x" * 11)
    with pytest.raises(OSError, match="bad message length"):
        process._receive(there)
    here.close()
