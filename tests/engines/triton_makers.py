"""Starts, kills and restarts the server of the tests, and writes what it serves."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.triton import RepositoryPlan, write_repository
from engines.bundle import Bundle
from engines.served import TritonSession
from engines.server import Server
from engines.store import EngineStore, Here

PROGRAM = Path(__file__).with_name("triton_server.py")


def serve(bundle: Bundle, repository: Path, **plan: Any) -> tuple[str, ...]:
    """Write the repository of a bundle, in place of one that is there."""
    made = RepositoryPlan(repository, force=True, **plan)
    return write_repository(bundle, made, EngineStore(repository.parent / "engines"), Here(None, {}))


@dataclass
class LoopbackServer:
    """A server process on this machine; after ``kill`` it starts again on the same port."""

    repository: Path
    tls: tuple[Path, ...] = ()
    port: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __enter__(self) -> LoopbackServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        command = [sys.executable, str(PROGRAM), str(self.repository), str(self.port), *map(str, self.tls)]
        environment = {**os.environ, "GRPC_VERBOSITY": "NONE", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it without a word, as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def named(self, **changes: Any) -> Server:
        return Server(address=f"127.0.0.1:{self.port}", **changes)


def session_on(server: LoopbackServer, bundle: Bundle, **changes: Any) -> TritonSession:
    return TritonSession(bundle, bundle.artifacts("fp32", "cpu"), server.named(**changes))
