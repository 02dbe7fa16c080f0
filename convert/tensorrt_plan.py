"""EnginePlan: all that is decided before an engine is built, frozen; what it asks for is checked here, early."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convert.tensorrt_library import Library
from engines.bundle import Bundle
from engines.engine_record import EngineKey, EngineRecipe, EngineTarget
from engines.errors import RuntimeUnavailableError, UsageError
from engines.gpu import NoGpuError, read_gpu
from engines.libraries import RuntimeName
from engines.manifest import Artifact, Precision

BATCH = (1, 4, 16)  # one crop a reading; a few when tracking; what a clip is analysed with
DLA_BATCH = (1, 1, 1)  # the DLA runs fixed shapes only
WORKSPACE_LEAST_MIB = 16
_NEUTRAL = EngineRecipe(batch=BATCH, workspace_mib=None, dla_core=None)


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """One engine to be built: from which artifact, by which library, for what."""

    artifact: Path
    precision: Precision
    runtime: RuntimeName
    key: EngineKey

    @property
    def what(self) -> str:
        """The first words of every sentence about a build that failed."""
        return f"No engine can be built from {self.artifact.name}"

    @property
    def timing_cache(self) -> str:
        """File name in the store; a timing cache serves every artifact of one library build and one target."""
        alone = self.key.model_copy(update={"artifact_sha256": "0" * 64, "recipe": _NEUTRAL})
        return f"timing-{alone.name}.cache"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for; None and empty: as usual."""

    precision: str = "fp16"
    compute_capabilities: tuple[str, ...] = ()
    dla_core: int | None = None
    workspace_mib: int | None = None


def make_plans(bundle: Bundle, library: Library, wish: Wish) -> tuple[tuple[EnginePlan, Artifact], ...]:
    """Return the plans for a verified bundle, each with its artifact: one, or one for each member left separate.

    Raises
    ------
    UsageError, BundleError, RuntimeUnavailableError
        What is asked for is unknown, is not in the bundle, failed its parity, or cannot be had on this machine.
    """
    artifacts = _artifacts(bundle, wish.precision)
    if wish.workspace_mib is not None and wish.workspace_mib < WORKSPACE_LEAST_MIB:
        cure = f"allow at least {WORKSPACE_LEAST_MIB}"
        raise UsageError("No engine can be built", f"a workspace of {wish.workspace_mib} MiB is too small", cure)
    recipe = EngineRecipe(
        batch=BATCH if wish.dla_core is None else DLA_BATCH,
        workspace_mib=wish.workspace_mib,
        dla_core=wish.dla_core,
    )
    target = _target(library, wish.compute_capabilities)
    return tuple((_plan(bundle, library, artifact, recipe, target), artifact) for artifact in artifacts)


def _plan(
    bundle: Bundle, library: Library, artifact: Artifact, recipe: EngineRecipe, target: EngineTarget
) -> EnginePlan:
    key = EngineKey(artifact_sha256=artifact.sha256, recipe=recipe, builder=library.builder, target=target)
    return EnginePlan(bundle.file(artifact.file), artifact.precision, library.runtime, key)


def _artifacts(bundle: Bundle, precision: str) -> tuple[Artifact, ...]:
    known: dict[str, Precision] = {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}
    if precision not in known:
        raise UsageError(
            f"The precision '{precision}' cannot be built", "there is none of that name", f"choose {', '.join(known)}"
        )
    artifacts = bundle.artifacts(known[precision], "tensorrt")
    first = artifacts[0]  # members of one model have one row of parity
    rows = [row for row in bundle.manifest.parity if (row.precision, row.family) == (precision, first.family)]
    if first.precision != "fp32" and not (rows and rows[0].passed):
        raise UsageError(
            f"No engine can be built from {first.file}",
            f"its parity with fp32 {'failed' if rows else 'was never measured'}",
            "choose another precision, or convert the model again",
        )
    return artifacts


def _target(library: Library, capabilities: tuple[str, ...]) -> EngineTarget:
    if capabilities:
        _check_capabilities(library, capabilities)
        return EngineTarget(compute_capabilities=tuple(sorted(set(capabilities), key=float)))
    try:
        return EngineTarget.of(read_gpu())
    except NoGpuError as error:
        cure = "build on the machine that has the GPU"
        if library.ahead_of_time:
            cure = f"name a target, --compute-capability {library.ahead_of_time[-1]}, or {cure}"
        raise RuntimeUnavailableError("No engine can be built for this machine", str(error), cure) from error


def _check_capabilities(library: Library, capabilities: tuple[str, ...]) -> None:
    known = library.ahead_of_time
    strange = [name for name in capabilities if name not in known]
    if not known:
        raise UsageError(
            "No engine can be built ahead of time",
            f"{library.runtime} builds for the GPU of its own machine only",
            "leave --compute-capability out, or use --runtime tensorrt-rtx",
        )
    if strange:
        raise UsageError(
            f"No engine can be built for compute capability {strange[0]}",
            f"{library.builder.runtime} {library.builder.version} knows only {', '.join(known)}",
            "choose from these, or build on the machine itself",
        )
