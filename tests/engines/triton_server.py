"""A server that speaks Triton's protocol over real sockets: it reads a model repository and runs it by ONNX Runtime.

A program of its own, so that tests can kill it: ``triton_server.py REPOSITORY PORT [CERTIFICATE KEY [CLIENTS_CA]]``;
it prints its port. It follows ``config.pbtxt`` (names, types, batch, ensembles) and refuses what that does not allow.
``delay_s`` and ``without_config`` in the repository, plain files, make it slow and silent about configurations.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

Arrays = dict[str, np.ndarray]
TYPES = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}


class RefusedError(Exception):
    """What the client asked for cannot be had; ``args``: status and words."""


@lru_cache(maxsize=16)
def load_model(path: Path, changed_ns: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


class Repository:
    """A folder of models as Triton lays it out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("*/config.pbtxt"))

    def config(self, name: str) -> Any:
        path = self.folder / name / "config.pbtxt"
        if not path.is_file():
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())

    def graph(self, name: str) -> Any:
        path = self.folder / name / "1" / "model.onnx"
        try:
            with self.lock:
                return load_model(path, path.stat().st_mtime_ns)
        except Exception as error:
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, f"failed to load '{name}': {str(error)[:200]}") from error

    def fault(self, name: str) -> str:
        try:
            config = self.config(name)
            for step in config.ensemble_scheduling.step:
                self.graph(step.model_name)
            if not config.ensemble_scheduling.step:
                self.graph(name)
        except RefusedError as refused:
            return str(refused.args[1])
        return ""

    def tensors(self, name: str) -> tuple[list[Any], list[Any]]:
        """Inputs and outputs as the graphs declare them: (name, type, shape)."""
        config = self.config(name)
        steps = config.ensemble_scheduling.step
        if not steps:
            graph = self.graph(name)
            return told(graph.get_inputs()), told(graph.get_outputs())
        inputs: dict[str, Any] = {}
        outputs = []
        for step in steps:
            graph = self.graph(step.model_name)
            for node, kind, shape in told(graph.get_inputs()):
                inputs.setdefault(dict(step.input_map).get(node, node), (kind, shape))
            given = {node: (kind, shape) for node, kind, shape in told(graph.get_outputs())}
            outputs += [(to, *given[own]) for own, to in step.output_map.items() if own in given]
        return [(node, *rest) for node, rest in inputs.items()], outputs

    def run(self, name: str, feed: Arrays) -> Arrays:
        config = self.config(name)
        wanted = {one.name: tuple(one.dims) for one in config.input}
        batch = {len(array) for array in feed.values()}
        if {key: array.shape[1:] for key, array in feed.items()} != wanted:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"unexpected shape or name of inputs to '{name}'")
        if len(batch) != 1 or max(batch) > config.max_batch_size:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT, f"inference request batch-size must be <= {config.max_batch_size}"
            )
        steps = config.ensemble_scheduling.step
        if not steps:
            names = [one.name for one in config.output]
            return dict(zip(names, self.graph(name).run(names, feed), strict=True))
        tensors: Arrays = dict(feed)
        for step in steps:
            answers = self.run(step.model_name, {own: tensors[source] for own, source in step.input_map.items()})
            tensors.update({to: answers[own] for own, to in step.output_map.items()})
        return {one.name: tensors[one.name] for one in config.output}


def told(nodes: list[Any]) -> list[tuple[str, str, list[int]]]:
    return [
        (node.name, TYPES[node.type], [length if isinstance(length, int) else -1 for length in node.shape])
        for node in nodes
    ]


def answering(call: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a refusal into the status of the call."""

    def guarded(self: Servicer, request: Any, context: Any) -> Any:
        try:
            return call(self, request)
        except RefusedError as refused:
            return context.abort(*refused.args)

    return guarded


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The calls of the protocol that the client makes."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    @answering
    def ServerLive(self, request: Any) -> Any:
        return service_pb2.ServerLiveResponse(live=True)

    @answering
    def ServerReady(self, request: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=True)

    @answering
    def ServerMetadata(self, request: Any) -> Any:
        return service_pb2.ServerMetadataResponse(name="triton-test", version="2.41.0")

    @answering
    def ModelReady(self, request: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=not self.repository.fault(request.name))

    @answering
    def ModelMetadata(self, request: Any) -> Any:
        inputs, outputs = self.repository.tensors(request.name)
        made = service_pb2.ModelMetadataResponse(name=request.name, versions=["1"], platform="onnxruntime_onnx")
        for tensors, to in ((inputs, made.inputs), (outputs, made.outputs)):
            for name, datatype, shape in tensors:
                to.add(name=name, datatype=datatype, shape=shape)
        return made

    @answering
    def ModelConfig(self, request: Any) -> Any:
        if (self.repository.folder / "without_config").is_file():
            raise RefusedError(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
        return service_pb2.ModelConfigResponse(config=self.repository.config(request.name))

    @answering
    def RepositoryIndex(self, request: Any) -> Any:
        made = service_pb2.RepositoryIndexResponse()
        for name in self.repository.names():
            fault = self.repository.fault(name)
            made.models.add(name=name, version="1", state="UNAVAILABLE" if fault else "READY", reason=fault)
        return made

    @answering
    def ModelInfer(self, request: Any) -> Any:
        delay = self.repository.folder / "delay_s"
        if delay.is_file():
            time.sleep(float(delay.read_text()))
        feed = {
            tensor.name: np.frombuffer(raw, np.uint8).reshape(list(tensor.shape))
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        answers = self.repository.run(request.model_name, feed)
        made = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        for wanted in request.outputs:
            array = answers[wanted.name]
            made.outputs.add(name=wanted.name, datatype="FP32", shape=array.shape)
            made.raw_output_contents.append(array.astype(np.float32).tobytes())
        return made


def main(folder: str, port: str, *tls: str) -> None:
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(Repository(Path(folder))), server)
    if tls:
        certificate, key, *clients = (Path(name).read_bytes() for name in tls)
        asked = {"root_certificates": clients[0], "require_client_auth": True} if clients else {}
        bound = server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)], **asked))
    else:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(bound, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
