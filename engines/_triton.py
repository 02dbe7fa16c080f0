"""The one door to Triton's client: what a server says of itself and of a model, and one inference, over gRPC.

The library is imported when a server is asked, never before. No request is made that the operator did not name a
server for, and none goes through a proxy.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from engines.errors import BundleError, InferenceError, RuntimeUnavailableError, ServerUnavailableError
from engines.server import Server
from engines.session import Outputs
from engines.tensors import TensorSpec

NAME = "triton"
CURE = "install it with: pip install 'echogfr[triton]'"
FIRST_WAIT_S = 0.05  # between two tries of one request; doubles
LONGEST_WAIT_S = 0.4
_MESSAGE_BYTES = 256 << 20  # maps of a batch of an ensemble
_CHANNEL = (
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # a picture goes to the server that was named and to nobody else
    ("grpc.use_local_subchannel_pool", 1),  # a new client does not inherit how long an old one was told to wait
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
)
_DTYPES = {"UINT8": "uint8", "FP32": "float32"}
_AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")  # worth another try at once
_AWAY = (*_AGAIN, "CANCELLED", "UNKNOWN", "UNAUTHENTICATED", "PERMISSION_DENIED")  # UNKNOWN: a stream that broke off
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "Peer name", "Hostname Verification Check failed")

Answer = TypeVar("Answer")


class _Parameter(Protocol):
    string_value: str


class _Config(Protocol):
    max_batch_size: int
    parameters: Mapping[str, _Parameter]


class _Tensor(Protocol):
    name: str
    datatype: str
    shape: Sequence[int]


class _Metadata(Protocol):
    name: str
    version: str
    inputs: Sequence[_Tensor]
    outputs: Sequence[_Tensor]


class _Result(Protocol):
    def as_numpy(self, name: str) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server says of one model. ``parameters``: of its configuration; None: the server does not tell it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: dict[str, str] | None
    max_batch: int | None  # None: not limited, or not told


def load_library() -> ModuleType:
    """Import Triton's gRPC client, quietly.

    Raises
    ------
    ImportError
        It is absent (``ModuleNotFoundError``) or broken.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what fails comes back as an exception with a sentence
    return importlib.import_module("tritonclient.grpc")


def config_text(fields: Mapping[str, object]) -> str:
    """Return a ``config.pbtxt`` of these fields of Triton's ``ModelConfig``, checked against its own definition.

    Raises
    ------
    RuntimeUnavailableError
        The library is not there.
    google.protobuf.json_format.ParseError
        A field is none of Triton's: a defect of ours.
    """
    _library_or_sentence()
    messages = importlib.import_module("tritonclient.grpc.model_config_pb2")
    plain = importlib.import_module("google.protobuf.json_format")
    text = importlib.import_module("google.protobuf.text_format")
    written: str = text.MessageToString(plain.ParseDict(dict(fields), messages.ModelConfig()))
    text.Parse(written, messages.ModelConfig())
    return written


class Connection:
    """An open way to a server; every call that fails comes back as an error with a sentence.

    Raises
    ------
    RuntimeUnavailableError
        The library is not there, or a file of the certificates cannot be used.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._library = _library_or_sentence()
        self._error = cast("type[Exception]", importlib.import_module("tritonclient.utils").InferenceServerException)
        try:
            self._client = self._library.InferenceServerClient(
                server.address,
                ssl=server.tls,
                root_certificates=_text(server.ca),
                private_key=_text(server.key),
                certificate_chain=_text(server.certificate),
                channel_args=list(_CHANNEL),
            )
        except OSError as error:
            raise RuntimeUnavailableError(
                f"The server {server.where} cannot be asked", f"{error.filename}: {error.strerror}", "check its files"
            ) from error

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()

    def greet(self, deadline_s: float | None = None) -> str:
        """Return name and version of a server that is ready; ``deadline_s``: None is the server's own."""
        if not self._call(self._client.is_server_ready, deadline_s):
            raise self._away("it is there but not ready")
        told = cast("_Metadata", self._call(self._client.get_server_metadata, deadline_s))
        return f"{told.name} {told.version}".strip()

    def describe(self, name: str) -> ServedModel:
        """Return what the server says of a model that is ready.

        Raises
        ------
        BundleError
            It has no such model, or could not load it.
        """
        if not self._ready(name):
            raise self._no_model(name)
        told = cast("_Metadata", self._call(self._client.get_model_metadata, None, name))
        config = self._config(name)
        batch = config.max_batch_size if config is not None else 0
        parameters = None if config is None else {key: one.string_value for key, one in config.parameters.items()}
        return ServedModel(_specs(told.inputs), _specs(told.outputs), parameters, batch or None)

    def infer(self, name: str, feed: tuple[str, NDArray[np.uint8]], outputs: Sequence[str]) -> Outputs:
        """Run one batch within the deadline; the arrays are the caller's."""
        crops = np.ascontiguousarray(feed[1])
        given = self._library.InferInput(feed[0], list(crops.shape), "UINT8")
        given.set_data_from_numpy(crops)
        asked = [self._library.InferRequestedOutput(output) for output in outputs]
        result = cast("_Result", self._call(self._client.infer, None, name, [given], outputs=asked))
        return {output: self._array(result, output) for output in outputs}

    def _array(self, result: _Result, output: str) -> NDArray[np.float32]:
        try:
            array = result.as_numpy(output)
        except (ValueError, TypeError) as error:  # bytes and shape do not fit
            raise self._unusable(f"'{output}' cannot be decoded ({error})") from error
        if array is None:
            raise self._unusable(f"there is no '{output}' in it")
        return np.array(array)

    def _ready(self, name: str) -> bool:
        try:
            return bool(self._call(self._client.is_model_ready, None, name))
        except _UnknownError:
            return False

    def _config(self, name: str) -> _Config | None:
        try:
            return cast("_Config", self._call(self._client.get_model_config, None, name).config)
        except _UnknownError:
            return None

    def _no_model(self, name: str) -> BundleError:
        try:
            index = self._call(self._client.get_model_repository_index, None)
        except _UnknownError:
            index = None
        models = list(index.models) if index is not None else []
        reason = next((model.reason for model in models if model.name == name and model.reason), None)
        if reason:
            return BundleError(
                f"The model {name} cannot be loaded", f"the server {self.server.where} says: {reason}", "write it again"
            )
        there = ", ".join(sorted({model.name for model in models if model.state == "READY"})) or "none that it tells"
        return BundleError(
            f"The server {self.server.where} cannot run this bundle",
            f"it has no model {name}, only {there}",
            "write it with echogfr-convert triton, or ask for another precision",
        )

    def _call(
        self, function: Callable[..., Answer], deadline_s: float | None, *arguments: object, **named: object
    ) -> Answer:
        """Call the client, again while the server is away and time is left."""
        limit_s = deadline_s or self.server.deadline_s
        end_s = time.monotonic() + limit_s
        wait_s = FIRST_WAIT_S
        while True:
            left_s = max(0.001, end_s - time.monotonic())
            try:
                return function(*arguments, **named, client_timeout=left_s)
            except self._error as error:
                failed, again = self._failed(error, limit_s)
                if not again or time.monotonic() + wait_s >= end_s:
                    raise failed from error
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _failed(self, error: Exception, limit_s: float) -> tuple[InferenceError, bool]:
        """Return what a failed call means, and whether another try may help."""
        status = str(getattr(error, "status", lambda: "")()).rpartition(".")[2]
        told = str(getattr(error, "message", lambda: error)()).strip() or status
        if status in ("UNIMPLEMENTED", "NOT_FOUND"):
            return _UnknownError("The server cannot be asked this", told, "use a server that can"), False
        if any(sign in told for sign in _UNTRUSTED):
            because = "its certificate was not issued for it by an authority that is trusted here"
            return self._away(because, "name the right CA and the name that its certificate has"), False
        if "andshake" in told or "SSL" in told:
            return self._away(
                "no encrypted connection comes about", "check TLS on both sides and the certificates"
            ), False
        if status == "DEADLINE_EXCEEDED":
            return self._away(f"it gave no answer within {limit_s:g} s"), False
        if status in _AWAY:
            return self._away("it cannot be reached" if status == "UNAVAILABLE" else told), status in _AGAIN
        return self._unusable(told.splitlines()[0]), False

    def _away(self, because: str, cure: str = "check the server and the network") -> ServerUnavailableError:
        return ServerUnavailableError(f"The server {self.server.where} cannot be used", because, cure)

    def _unusable(self, because: str) -> InferenceError:
        return InferenceError(f"The server {self.server.where} gave no usable answer", because, "look into its log")


class _UnknownError(ServerUnavailableError):
    """The server does not know this call, or what it was asked about."""


def _specs(tensors: Sequence[_Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            tensor.name,
            _DTYPES.get(tensor.datatype, tensor.datatype),
            tuple(None if length < 0 else int(length) for length in tensor.shape),
        )
        for tensor in tensors
    )


def _text(path: object) -> str | None:
    return None if path is None else str(path)


def _library_or_sentence() -> ModuleType:
    try:
        return load_library()
    except ImportError as error:
        raise RuntimeUnavailableError(
            "No inference server can be asked", f"Triton's client cannot be loaded ({error})", CURE
        ) from error
