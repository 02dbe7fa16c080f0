"""A DICOM receiver: real senders over real sockets, well-behaved and not; the source goes on after each."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)
from pynetdicom import AE, evt

from edge_app.capture import dicom_receiver
from edge_app.capture.base import Frame, SourceError, Waiting
from edge_app.capture.dicom_receiver import DicomReceiver, Listener, parse_listener
from edge_app.capture.open import endless, open_source

NAME = "MOCKWELL^JUN"
VERIFICATION = "1.2.840.10008.1.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def study(greys: tuple[int, ...] = (90,), size: tuple[int, int] = (64, 48)) -> pydicom.Dataset:
    """An ultrasound still, or a cine, of one grey a frame."""
    made = pydicom.Dataset()
    many = len(greys) > 1
    made.SOPClassUID = UltrasoundMultiFrameImageStorage if many else UltrasoundImageStorage
    made.SOPInstanceUID = generate_uid()
    made.PatientName, made.PatientID, made.Modality = NAME, "5100123", "US"
    made.Columns, made.Rows = size
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    if many:
        made.NumberOfFrames, made.FrameTime = len(greys), "20"
    frames = [np.full((size[1], size[0], 3), grey, np.uint8) for grey in greys]
    made.PixelData = np.stack(frames).tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


@contextlib.contextmanager
def listening() -> Iterator[DicomReceiver]:
    """A receiver on a free port, which must leave no thread behind."""
    before = set(threading.enumerate())
    made = open_source("dicom-listen:0")
    assert isinstance(made, DicomReceiver)
    with made as entered:
        yield entered
    started_s = time.monotonic()
    left = [thread for thread in threading.enumerate() if thread not in before and "hypothesis" not in thread.name]
    for thread in left:
        thread.join(2.0)
    assert not [thread.name for thread in left if thread.is_alive()], "the threads of the library end with the source"
    assert time.monotonic() - started_s < 2.5


@pytest.fixture(scope="module")
def shared() -> Iterator[DicomReceiver]:
    with listening() as entered:
        yield entered


@pytest.fixture
def receiver(shared: DicomReceiver) -> DicomReceiver:
    """The one receiver that goes on through all of these tests; what an earlier one left is looked at first."""
    while isinstance(shared.read(), Frame):
        pass
    return shared


@contextlib.contextmanager
def sender(
    receiver: DicomReceiver,
    syntax: str = ExplicitVRLittleEndian,
    title: str = "ANY-SCP",
    kinds: tuple[str, ...] = (UltrasoundImageStorage, UltrasoundMultiFrameImageStorage),
) -> Iterator[Any]:
    entity = AE(ae_title="SCANNER")
    for uid in kinds:
        entity.add_requested_context(uid, syntax)
    entity.add_requested_context(VERIFICATION)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    wires: list[socket.socket] = []
    opened: list[Any] = [(evt.EVT_CONN_OPEN, lambda event: wires.append(event.assoc.dul.socket.socket))]
    association = entity.associate("127.0.0.1", receiver.port, ae_title=title, evt_handlers=opened)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        entity.shutdown()
        for thread in (association, association.dul):
            if thread.ident is not None:
                thread.join(2.0)
        for wire in wires:
            wire.close()  # the library leaves it open where the other end was first


def send(receiver: DicomReceiver, *objects: pydicom.Dataset) -> list[Any]:
    with sender(receiver, objects[0].file_meta.TransferSyntaxUID) as association:
        assert association.is_established
        return [association.send_c_store(one) for one in objects]


def shown(receiver: DicomReceiver, count: int, timeout_s: float = 5.0) -> list[Frame]:
    end_s = time.monotonic() + timeout_s
    frames: list[Frame] = []
    while len(frames) < count:
        assert time.monotonic() < end_s, f"{len(frames)} of {count} frames"
        got = receiver.read()
        if isinstance(got, Frame):
            frames.append(got)
    return frames


def goes_on(receiver: DicomReceiver) -> None:
    """An ordinary still is taken and shown, whatever was before."""
    (answer,) = send(receiver, study((123,)))
    assert answer.Status == 0x0000
    assert int(shown(receiver, 1)[-1].pixels[0, 0, 0]) == 123


def test_an_echo_is_answered(receiver: DicomReceiver) -> None:
    with sender(receiver) as association:
        assert association.send_c_echo().Status == 0x0000
    assert isinstance(receiver.read(), Waiting)


def test_a_still_and_a_cine_are_shown_in_order_with_times_of_their_own(receiver: DicomReceiver) -> None:
    answers = send(receiver, study((90,)), study((10, 20, 30)))
    assert [answer.Status for answer in answers] == [0x0000, 0x0000]
    frames = shown(receiver, 4)
    assert [int(frame.pixels[5, 5, 1]) for frame in frames] == [90, 10, 20, 30]
    assert [frame.index - frames[0].index for frame in frames] == [0, 1, 2, 3]
    assert all(later.t_ms > frame.t_ms for frame, later in pairwise(frames))
    assert frames[3].t_ms - frames[1].t_ms >= 35, "a cine plays at its own speed"
    assert not any(frame.pixels.flags.writeable for frame in frames)


@pytest.mark.parametrize("syntax", [RLELossless])
def test_compressed_pictures_are_taken(receiver: DicomReceiver, syntax: str) -> None:
    made = study((40, 200))
    made.compress(syntax)
    (answer,) = send(receiver, made)
    assert answer.Status == 0x0000
    assert [int(frame.pixels[0, 0, 0]) for frame in shown(receiver, 2)] == [40, 200]


def test_a_jpeg_cine_of_a_real_scanner_is_taken(receiver: DicomReceiver, shared_data: Path) -> None:
    for name in ("sonosite_turbo_cine30.dcm", "philips_cx50_calipers.dcm", "siemens_s2000_6c1_renal.dcm"):
        made = pydicom.dcmread(shared_data / "dicom" / name)
        with sender(receiver, made.file_meta.TransferSyntaxUID, kinds=(made.SOPClassUID,)) as association:
            assert len(association.accepted_contexts) == 2, name
            assert association.send_c_store(made).Status == 0x0000
        frame = shown(receiver, 1)[0]
        assert frame.pixels.shape == (made.Rows, made.Columns, 3)
        assert frame.regions or name.startswith("sonosite"), "the scanner's own scale comes along where it holds"
        while isinstance(receiver.read(), Frame):
            pass


def test_a_picture_that_cannot_be_decoded_is_refused_to_its_sender_in_words(receiver: DicomReceiver) -> None:
    torn, damaged = study((1, 2, 3)), study((1,))
    torn.PixelData = torn.PixelData[:100]
    del damaged.Rows
    for answer in send(receiver, torn, damaged):
        assert answer.Status == 0xC210
        assert answer.ErrorComment
        assert NAME.split("^")[0] not in answer.ErrorComment
    lying = study((1,))
    lying.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    lying.PixelData = pydicom.encaps.encapsulate([b"no JPEG at all"])
    lying["PixelData"].is_undefined_length = True
    assert send(receiver, lying)[0].Status == 0xC210
    goes_on(receiver)


def test_what_is_no_ultrasound_is_not_agreed_to(receiver: DicomReceiver) -> None:
    with sender(receiver, kinds=(ENHANCED_CT,)) as association:
        assert [context.abstract_syntax for context in association.accepted_contexts] == [VERIFICATION]
    goes_on(receiver)


def test_more_than_can_be_shown_is_sent_back(receiver: DicomReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_receiver, "MOST_WAITING", 2)
    answers = send(receiver, study((1,)), study((2,)), study((3,)))
    assert [answer.Status for answer in answers] == [0x0000, 0x0000, 0xA700]
    assert "send again" in answers[2].ErrorComment
    assert [int(frame.pixels[0, 0, 0]) for frame in shown(receiver, 2)] == [1, 2]
    goes_on(receiver)


def test_an_object_that_is_too_large_loses_its_connection(
    receiver: DicomReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_receiver, "MOST_BYTES", 25_000)
    small = study((5,))
    assert [answer.Status for answer in send(receiver, *[small] * 4)] == [0x0000] * 4, "each is counted for itself"
    shown(receiver, 4)
    with sender(receiver) as association:
        try:
            answer = association.send_c_store(study((7,), (640, 480)))
        except (RuntimeError, ValueError):  # the library's own words for a lost connection
            answer = pydicom.Dataset()
        assert "Status" not in answer or answer.Status != 0x0000
    goes_on(receiver)


def test_two_send_at_once(receiver: DicomReceiver) -> None:
    with sender(receiver) as one, sender(receiver) as other:
        assert one.send_c_store(study((11,))).Status == 0x0000
        assert other.send_c_store(study((22,))).Status == 0x0000
        assert {int(frame.pixels[0, 0, 0]) for frame in shown(receiver, 2)} == {11, 22}


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: scanner\r\n\r\n",
        bytes(range(256)) * 8,
        struct.pack(">BBL", 1, 0, 200) + bytes(200),  # an association request of zeros
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(5000),  # that claims 4 GiB
        struct.pack(">BBL", 4, 0, 20) + bytes(20),  # data before any association
        b"\x01\x00",  # half a header
    ],
)
def test_garbage_ends_its_own_connection_alone(receiver: DicomReceiver, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as talker:
        talker.sendall(noise)
        goes_on(receiver)


def test_connections_that_say_nothing_hold_nobody_up_once_they_are_gone(receiver: DicomReceiver) -> None:
    silent = [socket.create_connection(("127.0.0.1", receiver.port), timeout=5) for _ in range(3)]
    goes_on(receiver)
    many = dicom_receiver.MOST_CONNECTIONS + 4
    silent += [socket.create_connection(("127.0.0.1", receiver.port), timeout=5) for _ in range(many)]
    time.sleep(0.2)
    with sender(receiver) as association:
        assert not association.is_established, "there are as many as may be"
    for talker in silent:
        talker.close()
    time.sleep(0.5)
    started_s = time.monotonic()
    goes_on(receiver)
    assert time.monotonic() - started_s < dicom_receiver.ANSWER_S / 2


def test_a_sender_that_aborts_in_the_middle_harms_nobody(receiver: DicomReceiver) -> None:
    with sender(receiver) as association:
        raw = association.dul.socket.socket
        header = struct.pack(">BBL", 4, 0, 1000) + struct.pack(">LBB", 996, 1, 0)
        raw.sendall(header + bytes(300))
        association.abort()
    goes_on(receiver)
    with sender(receiver) as association:
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    goes_on(receiver)


def test_leaving_the_source_ends_a_sender_that_still_talks() -> None:
    with listening() as receiver, sender(receiver) as association:
        assert association.is_established
        receiver.__exit__(None, None, None)
        end_s = time.monotonic() + 3.0
        while association.is_established and time.monotonic() < end_s:
            time.sleep(0.02)
        assert not association.is_established
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", receiver.port), timeout=1).close()


def test_no_name_of_a_patient_is_logged_or_printed(
    receiver: DicomReceiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    send(receiver, study((1,)))
    bad = study((1,))
    del bad.Rows
    send(receiver, bad)
    frame = shown(receiver, 1)[0]
    told = [*caplog.messages, *capfd.readouterr(), receiver.info.title, repr(frame.regions)]
    assert not any("MOCKWELL" in text or "5100123" in text for text in told)


def test_a_title_that_was_given_is_asked_for() -> None:
    with DicomReceiver(parse_listener("0?aet=KIDNEY")) as receiver:
        with sender(receiver, title="OTHER") as association:
            assert association.is_rejected
        with sender(receiver, title="KIDNEY") as association:
            assert association.is_established


def test_only_this_computer_can_send_unless_a_host_is_named() -> None:
    assert parse_listener("11112") == Listener("127.0.0.1", 11112, None)
    assert parse_listener("0.0.0.0:104?aet=KIDNEY") == Listener("0.0.0.0", 104, "KIDNEY")
    assert parse_listener("[::1]:11112").host == "::1"
    assert "open to the network" in open_source("dicom-listen:0.0.0.0:11112").info.title
    assert "open" not in open_source("dicom-listen:11112").info.title
    assert endless("dicom-listen:11112")


def test_a_port_that_is_taken_is_said() -> None:
    with DicomReceiver(parse_listener("0")) as first:
        taken = open_source(f"dicom-listen:{first.port}")
        with pytest.raises(SourceError, match=r"No DICOM can be received on 127\.0\.0\.1:\d+, because .*choose"), taken:
            pass
    with pytest.raises(SourceError, match="No DICOM can be received"), open_source("dicom-listen:192.0.2.1:11112"):
        pass


@example("")
@example("99999")
@example("11112?aet=")
@example("11112?aet=THIS-TITLE-IS-TOO-LONG")
@example("11112?x=y")
@example("²")
@given(st.text(max_size=20))
def test_any_text_is_a_listener_or_one_sentence(text: str) -> None:
    try:
        listener = parse_listener(text)
    except SourceError as error:
        assert "dicom-listen:" in error.sentence
    else:
        assert 0 <= listener.port < 65536 and listener.host
