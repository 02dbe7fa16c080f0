"""Members: how the answers of a model whose members were left as separate artifacts become those of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.manifest import Artifact, BundleManifest, OutputSpec
from engines.session import Outputs, SessionInfo


def members_of(manifest: BundleManifest, artifacts: Sequence[Artifact]) -> int:
    """Return how many members these artifacts hold together: a fused one holds all."""
    return sum(manifest.members if artifact.member is None else 1 for artifact in artifacts)


def join(manifest: BundleManifest, parts: Sequence[Outputs]) -> dict[str, NDArray[np.float32]]:
    """Return the outputs of several artifacts as those of one that holds all their members.

    Members, grades by member and features lie side by side (axis 1), in the order of ``parts``; maps are averaged. The
    arrays are new: none of ``parts`` is shared.
    """
    return {output.name: _joined(output, [part[output.name] for part in parts]) for output in manifest.outputs}


def session_info(runtime: str, provider: str, artifacts: Sequence[Artifact]) -> SessionInfo:
    """Return what produces the numbers; of several artifacts one name and one hash stand for all.

    That hash is the SHA-256 of the artifacts' SHA-256 in hexadecimal, each followed by a line feed, in order of member.
    """
    first = artifacts[0]
    if len(artifacts) == 1:
        return SessionInfo(runtime, provider, first.precision, first.file, first.sha256)
    lines = "".join(f"{artifact.sha256}\n" for artifact in artifacts)
    name = f"{first.file} and {len(artifacts) - 1} more"
    return SessionInfo(runtime, provider, first.precision, name, hashlib.sha256(lines.encode()).hexdigest())


def _joined(output: OutputSpec, arrays: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    if len(arrays) == 1:
        return np.array(arrays[0], dtype=np.float32)
    if output.meaning == "map":
        return np.asarray(np.mean(arrays, axis=0), dtype=np.float32)
    return np.concatenate(arrays, axis=1)
