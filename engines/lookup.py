"""Finds the engine of an artifact among those that were built here, or says why there is none and how to get one."""

from __future__ import annotations

from dataclasses import dataclass

from engines.bundle import Bundle
from engines.engine_record import EngineRecord
from engines.gpu import Gpu
from engines.libraries import RuntimeName
from engines.manifest import Artifact
from engines.store import EngineError, EngineFailedError, EngineStore, Entry, Here


@dataclass(frozen=True, slots=True)
class Seeker:
    """What an engine must go with: the library and its build, the GPU and its driver."""

    store: EngineStore
    runtime: RuntimeName
    version: str
    gpu: Gpu

    def find(self, bundle: Bundle, artifact: Artifact) -> EngineRecord:
        """Return the record of the newest good engine; its hash was verified.

        Raises
        ------
        EngineFailedError
            There was one, and it failed its self-test or is corrupt. The sentence has the cure.
        EngineError
            There is none: it was never built, or made elsewhere. The sentence has the cure.
        """
        entries = self._entries(artifact)
        for entry in entries:
            if entry.state == "good" and entry.record is not None:
                return entry.record
        build = f"echogfr-convert build {bundle.path} --runtime {self.runtime} --precision {artifact.precision}"
        for entry in entries:
            if entry.state in ("failed", "corrupt"):
                what = f"The engine of {artifact.file} cannot be used"
                raise EngineFailedError(what, entry.reason, f"build it again with {build} --again")
        because = f"none was built for {self.runtime} in {self.store.folder}"
        if entries:
            because = f"the one in {self.store.folder} is {entries[0].state} ({entries[0].reason})"
        elif self.store.unreadable():  # nobody can tell whether it was of this artifact
            because = f"a record in {self.store.folder} cannot be read, so that it may have been lost"
            cure = f"tidy up with echogfr-convert engines prune, and then {build}"
            raise EngineFailedError(f"The engine of {artifact.file} cannot be found", because, cure)
        raise EngineError(f"There is no engine of {artifact.file}", because, f"build it here: {build}")

    def remark(self, artifact: Artifact, record: EngineRecord) -> str:
        """Return, where a newer engine of an artifact was passed over for this one, why; else nothing."""
        newest = self._entries(artifact)[0]
        if newest.record is None or newest.record.engine == record.engine:
            return ""
        return f"in place of a newer one ({newest.reason})"

    def _entries(self, artifact: Artifact) -> list[Entry]:
        entries = self.store.of(artifact.sha256, Here(self.gpu, {self.runtime: self.version}))
        return [entry for entry in entries if entry.record is not None and self._concerns(entry.record)]

    def _concerns(self, record: EngineRecord) -> bool:
        """Tell whether an engine was meant for this library and a GPU like this: ahead of time, there are others."""
        target = record.key.target
        for_this = target.gpu is not None or self.gpu.compute_capability in target.compute_capabilities
        return record.key.builder.runtime == self.runtime and for_this
