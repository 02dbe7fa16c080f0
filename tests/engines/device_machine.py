"""A GPU for tests, in host memory: real addresses, one stream that runs when it is waited for, and no forgiveness.

What a real driver leaves undefined (memory used after it was freed, a context of another thread) is an error here, and
``fail_at`` lets one call fail. The libraries over it are in ``device_pycuda``, ``device_cuda_python`` and
``device_tensorrt``: they have the names of the real ones and nothing else.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["device", "pinned"]
Operation = Callable[[], None]


class Misuse(AssertionError):
    """What a real driver would answer with a crash, or with wrong numbers."""


class Injected(Exception):
    """A call that the test wants to fail."""


@dataclass
class Block:
    kind: Kind
    memory: ctypes.Array[ctypes.c_uint8]


@dataclass
class Stream:
    queue: list[Operation] = field(default_factory=list)
    recorded: list[Operation] | None = None
    spoilt: bool = False


@dataclass
class Machine:
    """``abandoned``: what went with its context instead of being given back; ``found``: misuse inside destructors."""

    fail_at: tuple[str, int] | None = None
    calls: Counter[str] = field(default_factory=Counter)
    blocks: dict[int, Block] = field(default_factory=dict)
    streams: dict[int, Stream] = field(default_factory=dict)
    graphs: dict[int, list[Operation]] = field(default_factory=dict)
    stacks: dict[int, int] = field(default_factory=Counter)  # depth of the context stack by thread
    retained: int = 0
    abandoned: int = 0
    loaded: int = 0  # engines and execution contexts of TensorRT
    launched: int = 0
    found: list[str] = field(default_factory=list)
    handles: count[int] = field(default_factory=lambda: count(0x7000))

    def gate(self, name: str) -> None:
        self.calls[name] += 1
        if self.fail_at == (name, self.calls[name]):
            raise Injected(name)

    @property
    def clean(self) -> bool:
        held = (self.blocks, self.streams, self.graphs, +Counter(self.stacks))
        return not any(held) and not (self.retained or self.loaded or self.found)

    def retain(self) -> None:
        self.retained += 1

    def release(self) -> None:
        if not self.retained:
            raise Misuse("a context was released that nobody holds")
        self.retained -= 1
        if not self.retained:
            self.abandoned += len(self.blocks) + len(self.streams) + len(self.graphs)
            for held in (self.blocks, self.streams, self.graphs):
                held.clear()  # type: ignore[attr-defined]

    def push(self) -> None:
        if not self.retained:
            raise Misuse("a context was pushed that is gone")
        self.stacks[threading.get_ident()] += 1

    def pop(self) -> None:
        if not self.stacks[threading.get_ident()]:
            raise Misuse("a context was popped that was not pushed on this thread")
        self.stacks[threading.get_ident()] -= 1

    def need_context(self, why: str) -> None:
        if not (self.retained and self.stacks[threading.get_ident()]):
            raise Misuse(f"{why} without a current context on this thread")

    def allocate(self, kind: Kind, size: int) -> int:
        self.need_context(f"{kind} memory was taken")
        memory = (ctypes.c_uint8 * size)(*([0xA5] * min(size, 64)))
        address = ctypes.addressof(memory)
        self.blocks[address] = Block(kind, memory)
        return address

    def free(self, address: int) -> None:
        self.need_context("memory was freed")
        if self.blocks.pop(address, None) is None:
            raise Misuse(f"{address:#x} was freed twice, or never taken")

    def view(self, address: int, size: int, kind: Kind) -> NDArray[np.uint8]:
        block = self.blocks.get(address)
        if block is None or block.kind != kind or size > len(block.memory):
            raise Misuse(f"{size} bytes at {address:#x} are no live {kind} memory")
        return np.ctypeslib.as_array(block.memory)[:size]

    def make_stream(self) -> int:
        self.need_context("a stream was made")
        handle = next(self.handles)
        self.streams[handle] = Stream()
        return handle

    def drop_stream(self, handle: int) -> None:
        self.need_context("a stream was destroyed")
        if self.streams.pop(handle, None) is None:
            raise Misuse("a stream was destroyed twice")

    def enqueue(self, handle: int, operation: Operation) -> None:
        self.need_context("work was queued")
        stream = self.streams[handle]
        (stream.queue if stream.recorded is None else stream.recorded).append(operation)

    def copy(self, handle: int, target: tuple[int, Kind], source: tuple[int, Kind], size: int) -> None:
        for address, kind in (target, source):
            self.view(address, size, kind)  # also now: the call itself looks at its arguments

        def run() -> None:
            self.view(target[0], size, target[1])[:] = self.view(source[0], size, source[1])

        self.enqueue(handle, run)

    def synchronise(self, handle: int) -> None:
        self.need_context("the stream was waited for")
        stream = self.streams[handle]
        if stream.recorded is not None:
            raise Misuse("the stream was waited for while it is recorded")
        queue, stream.queue = stream.queue, []
        for operation in queue:
            operation()

    def begin_capture(self, handle: int) -> None:
        stream = self.streams[handle]
        if stream.recorded is not None:
            raise Misuse("a recording was begun twice")
        stream.recorded, stream.spoilt = [], False

    def end_capture(self, handle: int) -> int | None:
        """Return a graph; None: something in the recording cannot be recorded."""
        stream = self.streams[handle]
        recorded, stream.recorded = stream.recorded, None
        if recorded is None:
            raise Misuse("a recording was ended that was not begun")
        return None if stream.spoilt else self.keep_graph(recorded)

    def keep_graph(self, operations: list[Operation]) -> int:
        graph = next(self.handles)
        self.graphs[graph] = list(operations)
        return graph

    def launch(self, graph: int, handle: int) -> None:
        self.launched += 1
        for operation in self.graphs[graph]:
            self.enqueue(handle, operation)

    def drop_graph(self, graph: int) -> None:
        self.need_context("a graph was destroyed")
        if self.graphs.pop(graph, None) is None:
            raise Misuse("a graph was destroyed twice")
