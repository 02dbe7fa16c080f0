"""Sources that wait for the next picture, in a real worker: nothing is lost while nothing comes, and handles work."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from pydicom.uid import ImplicitVRLittleEndian, UltrasoundImageStorage, generate_uid
from pynetdicom import AE, evt

from edge_app.live.messages import Failed, Lost, Message, Poles, Report, SetPoles, WorkerPlan
from edge_app.live.report import FrameReport
from edge_app.live.supervisor import Supervisor

START_S = 20.0  # for a worker on a busy computer


class Window:
    """Polls every 10 ms and keeps what it hears."""

    def __init__(self, plan: WorkerPlan) -> None:
        self.supervisor = Supervisor(plan)
        self.heard: list[Message] = []
        self.supervisor.start()

    def until(self, happened: Callable[[], object], timeout_s: float = START_S) -> None:
        end_s = time.monotonic() + timeout_s
        while not happened():
            assert time.monotonic() < end_s, [m for m in self.heard if not isinstance(m, Report)]
            self.heard += self.supervisor.poll()
            time.sleep(0.01)

    def for_s(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end_s)

    def reports(self) -> list[FrameReport]:
        return [message.report for message in self.heard if isinstance(message, Report)]

    def grey(self) -> int | None:
        view = self.supervisor.newest_frame()
        return None if view is None else int(view.pixels[0, 0, 0])


@contextmanager
def window(source: str, bundle: Path) -> Iterator[Window]:
    made = Window(WorkerPlan(source=source, bundle=str(bundle)))
    try:
        yield made
        assert not [m for m in made.heard if isinstance(m, Lost)]
        assert [m.scope for m in made.heard if isinstance(m, Failed)] == ["model"]  # there is none, on purpose
    finally:
        made.supervisor.close()


def put(path: Path, grey: int, size: tuple[int, int]) -> None:
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), grey, np.uint8))


def test_a_watched_folder_shows_what_comes_and_its_last_picture_stays(tmp_path: Path) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    with window(f"watch:{folder}", tmp_path / "none") as made:
        made.until(lambda: made.supervisor.status.phase == "running")
        made.for_s(0.8)
        assert made.reports() == [], "nothing has come, and nothing is lost"
        put(folder / "1.png", 90, (320, 240))
        made.until(lambda: made.grey() == 90 and made.reports())
        made.heard.clear()
        made.for_s(1.5)
        assert len(made.reports()) >= 3, "looked at again and again, so that its number does not grow old"
        assert {report.frame for report in made.reports()} == {0}
        generation = made.supervisor.send(SetPoles(poles=Poles(x1=50, y1=50, x2=150, y2=150)))
        made.until(lambda: made.reports()[-1].generation == generation, timeout_s=3.0)
        put(folder / "2.png", 120, (1280, 960))
        made.until(lambda: made.grey() == 120 and made.reports()[-1].frame == 1)
        times = [report.t_ms for report in made.reports()]
        assert times == sorted(times)
        made.heard.append(Failed(scope="model", sentence="said before"))


def still(grey: int) -> pydicom.Dataset:
    made = pydicom.Dataset()
    made.SOPClassUID, made.SOPInstanceUID = UltrasoundImageStorage, generate_uid()
    made.Columns, made.Rows, made.SamplesPerPixel, made.PhotometricInterpretation = 320, 240, 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = bytes([grey]) * (320 * 240)
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return made


def test_what_a_scanner_sends_is_shown(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with window(f"dicom-listen:{port}", tmp_path / "none") as made:
        made.until(lambda: made.supervisor.status.phase == "running")
        entity = AE()
        wires: list[socket.socket] = []
        entity.add_requested_context(UltrasoundImageStorage)
        opened: list[Any] = [(evt.EVT_CONN_OPEN, lambda event: wires.append(event.assoc.dul.socket.socket))]
        association = entity.associate("127.0.0.1", port, evt_handlers=opened)
        assert association.send_c_store(still(77)).Status == 0x0000
        made.until(lambda: made.grey() == 77 and made.reports())
        association.release()
        entity.shutdown()
        association.dul.join(2.0)
        for wire in wires:
            wire.close()
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 3.0, "closing does not wait for what may never come"
