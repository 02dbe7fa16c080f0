"""A server that is not ours and not NVIDIA's: MLServer speaks the same protocol, and tells less of itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engines import selftest
from engines.bundle import Bundle
from engines.errors import BundleError, ServerUnavailableError
from engines.served import TritonSession
from engines.server import Server

from .bundle_makers import egfr_answer, speckle_crops

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "mlserver" / "bin"
STARTS_S = 60.0
RUNTIME = """
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class OnnxModel(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._graph = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, payload):
        feed = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        names = [one.name for one in self._graph.get_outputs()]
        outputs = [NumpyCodec.encode_output(*pair) for pair in zip(names, self._graph.run(names, feed))]
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def port(bundle: Bundle, tmp_path: Path) -> Iterator[int]:
    """The gRPC port of an MLServer that runs the bundle's artifact."""
    if not (FOLDER / "mlserver").is_file():
        pytest.skip("MLServer could not be installed beside this checkout (packaging/mlserver.txt)")
    grpc, http, metrics = free_ports(3)
    model = tmp_path / "server" / "model"
    model.mkdir(parents=True)
    (model / "onnx_model.py").write_text(RUNTIME)
    parameters = {"uri": str(bundle.file("model-0.onnx"))}
    told = {"name": "test-bundle-fp32", "implementation": "onnx_model.OnnxModel", "parameters": parameters}
    (model / "model-settings.json").write_text(json.dumps(told))
    settings = {"grpc_port": grpc, "http_port": http, "metrics_port": metrics, "parallel_workers": 0, "debug": False}
    (model.parent / "settings.json").write_text(json.dumps({"host": "127.0.0.1", **settings}))
    environment = {**os.environ, "PATH": f"{FOLDER}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    with (tmp_path / "log").open("w") as log:
        command = [str(FOLDER / "mlserver"), "start", str(model.parent)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=model.parent)
    try:
        yield grpc
    finally:
        process.kill()
        process.wait()


def entered(session: TritonSession) -> TritonSession:
    """Enter it once the server has come up, which takes seconds."""
    end_s = time.monotonic() + STARTS_S
    while True:
        try:
            return session.__enter__()
        except (ServerUnavailableError, BundleError):  # not there, or its model not loaded yet
            if time.monotonic() > end_s:
                raise
            time.sleep(0.2)


def test_a_foreign_server_reads_and_what_it_cannot_tell_is_said(port: int, bundle: Bundle) -> None:
    session = TritonSession(bundle, bundle.artifacts("fp32", "cpu"), Server(address=f"127.0.0.1:{port}"))
    entered(session)
    try:
        assert selftest.run(bundle, session).passed
        crops = speckle_crops(3, seed=8)
        found = session.infer(crops)
        doubt = "(does not tell its bundle: golden vectors only) mlserver 1.7.1"
        assert session.info.provider == f"127.0.0.1:{port} (not encrypted) {doubt}"
    finally:
        session.__exit__(None, None, None)
    for name, wanted in egfr_answer(crops).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-3)
