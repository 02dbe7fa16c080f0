"""A bundle on an inference server: a real process on this machine that these tests slow down, kill and start again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engines import selftest, served
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle
from engines.errors import BundleError, RuntimeUnavailableError, ServerUnavailableError, UsageError
from engines.fallback import FallbackSession
from engines.reading import Reader
from engines.runtimes import select
from engines.server import Server, make_server

from .bundle_makers import egfr_answer, speckle_crops
from .triton_makers import LoopbackServer, serve, session_on

trustme = pytest.importorskip("trustme", reason="certificates for the tests are made with trustme")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(served, "LONGEST_PAUSE_S", 0.2)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackServer]:
    with LoopbackServer(tmp_path_factory.mktemp("served") / "repository") as server:
        yield server


@pytest.fixture
def server(process: LoopbackServer, bundle: Bundle) -> LoopbackServer:
    """The server, with the bundle of this test."""
    serve(bundle, process.repository)
    return process


def until(done: Callable[[], bool], limit_s: float = 10.0) -> None:
    end_s = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.02)


def answers(session: served.TritonSession) -> bool:
    try:
        session.infer(speckle_crops(1))
    except ServerUnavailableError:
        return False
    return True


def test_four_beds_read_at_once_and_each_gets_its_own_answers(server: LoopbackServer, bundle: Bundle) -> None:
    together = threading.Barrier(4)

    def bed(number: int) -> float:
        worst = 0.0
        with session_on(server, bundle) as session:
            selftest.run(bundle, session)
            together.wait(10)
            for turn in range(10):
                crops = speckle_crops(1 + number, seed=100 * number + turn)
                found = session.infer(crops)
                wanted = egfr_answer(crops)
                worst = max(worst, *(float(np.abs(found[name] - wanted[name]).max()) for name in wanted))
        return worst

    with ThreadPoolExecutor(4) as beds:
        assert max(beds.map(bed, range(4))) < 1e-3


def test_a_reading_says_which_server_it_came_from(server: LoopbackServer, bundle: Bundle) -> None:
    with session_on(server, bundle) as session:
        reading = Reader(bundle, session).read(speckle_crops(1)[0])
    assert (reading.runtime, reading.precision) == ("triton", "fp32")
    assert reading.provider == f"127.0.0.1:{server.port} (not encrypted) triton-test 2.41.0"
    assert reading.artifact_sha256 == bundle.manifest.artifacts[0].sha256
    assert reading.note == ""


def test_more_crops_than_the_server_takes_at_once_go_in_several_runs(process: LoopbackServer, bundle: Bundle) -> None:
    serve(bundle, process.repository, max_batch=2)
    crops = speckle_crops(5)
    with session_on(process, bundle) as session:
        found = session.infer(crops)
    np.testing.assert_allclose(found["egfr_members"], egfr_answer(crops)["egfr_members"], rtol=1e-4)


def test_the_death_of_the_server_is_refused_at_once_and_its_return_is_told(
    server: LoopbackServer, bundle: Bundle
) -> None:
    crops = speckle_crops(2)
    with session_on(server, bundle, deadline_s=0.5) as session:
        before = session.infer(crops)
        server.kill()
        with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:\d+ .*cannot be used, because"):
            session.infer(crops)
        start_s = time.monotonic()
        with pytest.raises(ServerUnavailableError):  # it is not asked again so soon
            session.infer(crops)
        assert time.monotonic() - start_s < 0.09
        server.start()
        until(lambda: answers(session))
        after = session.infer(crops)
        assert session.info.note.startswith(f"The server 127.0.0.1:{server.port} answers again, after ")
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_a_server_that_comes_back_with_another_bundle_stays_refused(
    server: LoopbackServer, bundle: Bundle, make_bundle
) -> None:
    with session_on(server, bundle, deadline_s=0.5) as session:
        server.kill()
        assert not answers(session)
        serve(make_bundle(graphs={("fp32", "any"): {"gain": 9.0}}), server.repository)
        server.start()

        def said() -> str:
            with pytest.raises(ServerUnavailableError) as caught:  # away at first, then another; it never answers
                session.infer(speckle_crops(1))
            return caught.value.sentence

        end_s = time.monotonic() + 15.0
        while "it has the bundle" not in said():
            assert time.monotonic() < end_s
            time.sleep(0.05)


def test_a_return_with_wrong_answers_stays_refused(server: LoopbackServer, bundle: Bundle, make_bundle) -> None:
    """The configuration says that it is this bundle and the file is another: only the golden vectors see it."""
    other = make_bundle(graphs={("fp32", "any"): {"gain": 9.0}})
    with session_on(server, bundle, deadline_s=0.5) as session:
        server.kill()
        assert not answers(session)
        (server.repository / "test-bundle-fp32" / "1" / "model.onnx").write_bytes(other.read("model-0.onnx"))
        server.start()

        def said() -> str:
            with pytest.raises(ServerUnavailableError) as caught:  # away at first, then wrong; it never answers
                session.infer(speckle_crops(1))
            return caught.value.sentence

        until(lambda: "failed the self-test" in said())


def test_a_server_that_is_too_slow_is_refused_within_the_deadline(server: LoopbackServer, bundle: Bundle) -> None:
    slow = server.repository / "delay_s"
    with session_on(server, bundle, deadline_s=0.3) as session:
        slow.write_text("1.0")
        start_s = time.monotonic()
        with pytest.raises(ServerUnavailableError, match=r"it gave no answer within 0\.3 s"):
            session.infer(speckle_crops(1))
        assert time.monotonic() - start_s < 0.9
        slow.unlink()
        until(lambda: answers(session))


def test_with_consent_this_machine_takes_over_says_so_and_gives_back(server: LoopbackServer, bundle: Bundle) -> None:
    crop = speckle_crops(1)[0]
    local = OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads=1)
    with FallbackSession(bundle, session_on(server, bundle, deadline_s=0.5), local) as session:
        reader = Reader(bundle, session)
        assert reader.read(crop).runtime == "triton"
        server.kill()
        taken = reader.read(crop)
        assert (taken.runtime, taken.provider.split()[0]) == ("onnxruntime", "CPUExecutionProvider")
        assert taken.note == f"Read on this machine, at fp32: the server 127.0.0.1:{server.port} is away."
        server.start()
        until(lambda: reader.read(crop).runtime == "triton")
        back = reader.read(crop)
        assert "answers again" in back.note
        assert back.egfr is not None and taken.egfr is not None
        assert back.egfr.value == pytest.approx(taken.egfr.value, abs=1e-3)


def test_with_consent_a_server_that_is_away_at_the_start_is_taken_in_when_it_comes(
    server: LoopbackServer, bundle: Bundle
) -> None:
    server.kill()
    local = OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads=1)
    with FallbackSession(bundle, session_on(server, bundle, deadline_s=0.3), local) as session:
        reader, crop = Reader(bundle, session), speckle_crops(1)[0]
        assert reader.read(crop).runtime == "onnxruntime"
        server.start()
        until(lambda: reader.read(crop).runtime == "triton")


def test_consent_to_a_fallback_is_none_to_another_bundle(process: LoopbackServer, bundle: Bundle, make_bundle) -> None:
    serve(make_bundle(graphs={("fp32", "any"): {"gain": 9.0}}), process.repository)
    local = OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads=1)
    session = FallbackSession(bundle, session_on(process, bundle), local)
    with pytest.raises(BundleError, match="it has the bundle"), session:
        pytest.fail("it was entered")
    with pytest.raises(BundleError, match="it has the bundle"), session:  # nothing is left of the first try
        pytest.fail("it was entered")


@pytest.mark.parametrize("gain", [8.0, 9.0], ids=["same graph", "other graph"])
def test_a_server_with_another_bundle_is_refused(
    process: LoopbackServer, bundle: Bundle, make_bundle, gain: float
) -> None:
    other = make_bundle(graphs={("fp32", "any"): {"gain": gain}}, changes={"version": "9.9.9"})
    serve(other, process.repository)
    told = f"because it has the bundle {other.sha256[:12]}, here is {bundle.sha256[:12]}"
    with pytest.raises(BundleError, match=told), session_on(process, bundle):
        pytest.fail("it was entered")


def test_a_server_without_the_model_says_what_it_has(process: LoopbackServer, bundle: Bundle, make_bundle) -> None:
    serve(make_bundle(changes={"bundle_id": "another"}), process.repository)
    with pytest.raises(BundleError, match="it has no model test-bundle-fp32, only another-fp32"):
        session_on(process, bundle).__enter__()


def test_a_server_that_does_not_tell_its_bundle_is_believed_by_golden_vectors_alone_and_that_is_said(
    server: LoopbackServer, bundle: Bundle
) -> None:
    (server.repository / "without_config").touch()
    with session_on(server, bundle) as session:
        assert selftest.run(bundle, session).passed
        assert "(does not tell its bundle: golden vectors only)" in session.info.provider


def test_no_server_is_one_sentence(bundle: Bundle) -> None:
    session = served.TritonSession(
        bundle, bundle.artifacts("fp32", "cpu"), Server(address="127.0.0.1:1", deadline_s=0.3)
    )
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:1 .* because it") as caught, session:
        pytest.fail("it was entered")
    assert "\n" not in caught.value.sentence


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(tmp_path: Path, bundle: Bundle, authority: trustme.CA) -> Iterator[LoopbackServer]:
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    serve(bundle, tmp_path / "repository")
    with LoopbackServer(tmp_path / "repository", (certificate, key)) as server:
        yield server


def test_tls_with_the_right_ca_reads_and_with_a_wrong_one_is_one_sentence(
    encrypted: LoopbackServer, bundle: Bundle, authority: trustme.CA, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    authority.cert_pem.write_to_path(right)
    trustme.CA().cert_pem.write_to_path(wrong)
    with session_on(encrypted, bundle, tls=True, ca=right) as session:
        assert selftest.run(bundle, session).passed
        assert "(TLS)" in session.info.provider
    told = "because its certificate was not issued for it by an authority that is trusted here"
    with pytest.raises(ServerUnavailableError, match=told) as caught:
        session_on(encrypted, bundle, tls=True, ca=wrong).__enter__()
    assert "\n" not in caught.value.sentence
    with pytest.raises(ServerUnavailableError):
        session_on(encrypted, bundle, deadline_s=0.5).__enter__()  # in the clear


def test_a_server_that_asks_for_the_beds_certificate_gets_it(
    bundle: Bundle, authority: trustme.CA, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    files = []
    for name in ("127.0.0.1", "bed-4.example"):
        issued = authority.issue_cert(name)
        files += [tmp_path / f"{name}.pem", tmp_path / f"{name}.key"]
        issued.cert_chain_pems[0].write_to_path(files[-2])
        issued.private_key_pem.write_to_path(files[-1])
    certificate, key, own, own_key = files
    serve(bundle, tmp_path / "repository")
    with LoopbackServer(tmp_path / "repository", (certificate, key, ca)) as server:
        with session_on(server, bundle, tls=True, ca=ca, certificate=own, key=own_key) as session:
            assert selftest.run(bundle, session).passed
        with pytest.raises(ServerUnavailableError):
            session_on(server, bundle, tls=True, ca=ca, deadline_s=0.5).__enter__()


def test_a_server_that_is_named_is_the_one_that_runs_the_bundle_and_no_other_steps_in(bundle: Bundle) -> None:
    server = make_server("gpu.example:8001")
    assert select(bundle, server=server).runtime.name == "triton"
    assert select(bundle, "onnxruntime", server=server).runtime.name == "onnxruntime"
    assert select(bundle).runtime.name == "onnxruntime"
    with pytest.raises(RuntimeUnavailableError, match="no server is named"):
        select(bundle, "triton")


def test_without_its_client_the_cure_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tritonclient.grpc", None)
    with pytest.raises(RuntimeUnavailableError, match=r"pip install 'echogfr\[triton\]'"):
        select(bundle, server=make_server("gpu.example:8001"))


@pytest.mark.parametrize(
    ("url", "told"),
    [("gpu.example", "no address with a port"), ("http://a:1", "no address"), ("a:70000", "no address"), ("", "no")],
)
def test_an_address_that_is_none_is_explained(url: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_server(url)


def test_tls_follows_from_the_address_or_the_ca(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    assert [make_server(url).tls for url in ("a:1", "grpc://a:1", "grpcs://a:1")] == [False, False, True]
    assert make_server("a:1", ca).tls
    with pytest.raises(UsageError, match="is not encrypted"):
        make_server("grpc://a:1", ca)
    with pytest.raises(UsageError, match="there is no file"):
        make_server("a:1", tmp_path / "none.pem")
    with pytest.raises(UsageError, match="go together"):
        make_server("a:1", certificate=ca)
