"""The bedside with an inference server: what the operator sees when it dies, with consent to a fallback and without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.bundles import bundle_path
from edge_app.capture.base import Frame
from edge_app.live.fusion import Fusion, Moment
from edge_app.live.messages import WorkerPlan
from edge_app.live.model import ModelPlan, open_model
from edge_app.live.pipeline import Pipeline, PipelineSettings
from edge_app.live.report import FrameReport
from edge_app.settings import load_settings
from engines import served
from engines.bundle import open_bundle
from engines.errors import ServerUnavailableError, UsageError
from tests.engines.triton_makers import LoopbackServer, serve

from .live_makers import frame, reading, scene


class StillObserver:
    """Sees one frozen picture with its markers, whatever the pixels."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    def observe(self, frame: Frame):
        return scene(frame_index=frame.index, t_ms=frame.t_ms)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackServer]:
    folder: Path = tmp_path_factory.mktemp("served") / "repository"
    serve(open_bundle(bundle_path(None)), folder)
    with LoopbackServer(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(served, "LONGEST_PAUSE_S", 0.2)


class Bed:
    """Frames that differ, each settled and marked, through a pipeline of its own."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._index = 0

    def see(self) -> FrameReport:
        self._index += 1
        return self._pipeline.process(frame(self._index, t_ms=500.0 * self._index, seed=self._index)).report

    def see_until_read_by(self, runtime: str) -> FrameReport:
        end_s = time.monotonic() + 15.0
        while time.monotonic() < end_s:
            report = self.see()
            if report.reading is not None and report.reading.runtime == runtime:
                return report
            time.sleep(0.05)
        raise AssertionError(report.refusal)


def bed_of(reader) -> Bed:
    return Bed(Pipeline(reader, PipelineSettings(allow_out_of_domain=True), StillObserver()))


def test_without_consent_the_readout_is_refused_until_the_server_is_back(process: LoopbackServer) -> None:
    with open_model(ModelPlan(server=process.named(deadline_s=0.5))) as model:
        assert model.summary.provider.startswith(f"127.0.0.1:{process.port} (not encrypted)")
        bed = bed_of(model.reader)
        bed.see_until_read_by("triton")
        process.kill()
        refused = bed.see()
        assert refused.refusal is not None and refused.refusal.code == "no_server"
        assert refused.refusal.reason.startswith("The inference server is away, and looked for again: it ")
        assert refused.reading is None
        process.start()
        back = bed.see_until_read_by("triton")
    assert back.reading is not None and "answers again" in back.reading.note
    assert back.readout is not None and back.readout.note == back.reading.note


def test_with_consent_this_machine_reads_and_the_screen_and_each_reading_say_so(process: LoopbackServer) -> None:
    plan = ModelPlan(server=process.named(deadline_s=0.5), fallback="onnxruntime")
    with open_model(plan) as model:
        assert any("the operator's consent" in line for line in model.summary.selection)
        bed = bed_of(model.reader)
        bed.see_until_read_by("triton")
        process.kill()
        taken = bed.see()
        assert taken.refusal is None
        assert taken.reading is not None and taken.readout is not None
        assert (taken.reading.runtime, taken.readout.runtime) == ("onnxruntime", "onnxruntime fp32")
        assert taken.reading.provider.startswith("CPUExecutionProvider")
        assert "the server 127.0.0.1" in taken.readout.note and "is away" in taken.readout.note
        assert taken.readout.readings == 1  # none of the server's is mixed in
        process.start()
        assert bed.see_until_read_by("triton").readout is not None


def test_no_server_at_the_start_is_one_sentence_without_consent(process: LoopbackServer) -> None:
    nowhere = process.named(deadline_s=0.3).model_copy(update={"address": "127.0.0.1:1"})
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:1"), open_model(ModelPlan(server=nowhere)):
        pytest.fail("it was opened")


def test_readings_of_two_runtimes_are_never_one_number() -> None:
    fusion = Fusion()
    ends = (100.0, 150.0, 300.0, 150.0)

    def moment(at: int, runtime: str) -> Moment:
        return Moment(at, 100.0 * at, 0, True, True, ends, reading(40.0 + at, runtime=runtime))

    counts = []
    for at, runtime in enumerate(("triton", "triton", "onnxruntime", "onnxruntime", "triton")):
        _, readout = fusion.update(moment(at, runtime))
        assert readout is not None
        counts.append(readout.readings)
    assert counts == [1, 2, 1, 2, 1]


def test_the_server_comes_from_settings_and_crosses_to_the_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    monkeypatch.setenv("ECHOGFR_TRITON_URL", "gpu.example:8001")
    monkeypatch.setenv("ECHOGFR_TRITON_CA", str(ca))
    monkeypatch.setenv("ECHOGFR_FALLBACK", "onnxruntime")
    settings = load_settings()
    server = settings.server
    assert server is not None and (server.address, server.tls, server.ca) == ("gpu.example:8001", True, ca)
    plan = WorkerPlan(source="phantom:", server=server, fallback=settings.fallback)
    assert WorkerPlan.model_validate_json(plan.model_dump_json()) == plan
    monkeypatch.setenv("ECHOGFR_FALLBACK", "anything")
    with pytest.raises(UsageError, match="fallback"):
        load_settings()
    monkeypatch.delenv("ECHOGFR_TRITON_URL")
    monkeypatch.delenv("ECHOGFR_FALLBACK")
    assert load_settings().server is None
