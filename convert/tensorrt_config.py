"""Configures a builder: what it may use, what it builds for, and how many crops at once. No flag sets a precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from convert.tensorrt_library import Library
from convert.tensorrt_network import AGAIN, Network
from convert.tensorrt_plan import EnginePlan
from convert.tensorrt_timing import TimingConfig
from engines.errors import UsageError
from engines.store import EngineError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Profile(Protocol):
    """What is used of IOptimizationProfile."""

    def set_shape(self, name: str, least: tuple[int, ...], best: tuple[int, ...], most: tuple[int, ...]) -> object:
        """Allow shapes of an input from ``least`` to ``most``; it is made for ``best``."""
        ...


class Config(TimingConfig, Protocol):
    """What is used of IBuilderConfig. Compute capabilities: of TensorRT for RTX alone."""

    progress_monitor: object
    profiling_verbosity: object
    num_compute_capabilities: int
    default_device_type: object
    DLA_core: int

    def set_flag(self, flag: object) -> None:
        """Set a flag."""
        ...

    def clear_flag(self, flag: object) -> None:
        """Clear a flag."""
        ...

    def set_memory_pool_limit(self, pool: object, size: int) -> None:
        """Limit a kind of memory, in bytes."""
        ...

    def set_compute_capability(self, capability: object, index: int) -> object:
        """Name one of the GPUs that it builds for."""
        ...

    def add_optimization_profile(self, profile: Profile) -> int:
        """Take in a profile; below 0: it cannot be."""
        ...


class Builder(Protocol):
    """What is used of Builder."""

    def create_network(self, flags: int) -> Network:
        """Make an empty network."""
        ...

    def create_builder_config(self) -> Config:
        """Make a configuration."""
        ...

    def create_optimization_profile(self) -> Profile:
        """Make an empty profile."""
        ...

    def build_serialized_network(self, network: Network, config: Config) -> Buffer | None:
        """Build; None: refused or cancelled."""
        ...


def configure(config: Config, library: Library, plan: EnginePlan, dla_cores: int) -> None:
    """Set all options of ``config``.

    Raises
    ------
    UsageError
        The machine has no such DLA core.
    """
    trt, recipe = library.module, plan.key.recipe
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)
    if recipe.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace_mib << 20)
    if plan.key.target.gpu is None:
        names = plan.key.target.compute_capabilities
        config.num_compute_capabilities = len(names)
        for index, name in enumerate(names):
            member = getattr(trt.ComputeCapability, f"SM{name.replace('.', '')}")
            config.set_compute_capability(member, index)
    if recipe.dla_core is not None:
        if not 0 <= recipe.dla_core < dla_cores:
            because = f"this machine has {dla_cores or 'no'} DLA cores that {library.runtime} can use"
            raise UsageError(f"DLA core {recipe.dla_core} cannot be used", because, "leave --dla out")
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = recipe.dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def add_profile(builder: Builder, config: Config, network: Network, plan: EnginePlan) -> None:
    """Add the one profile: least, best and most crops at once.

    Raises
    ------
    EngineError
        The network does not take as many.
    """
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        count, *rest = tensor.shape
        if count >= 0 and set(plan.key.recipe.batch) != {count}:
            raise EngineError(plan.what, f"its input takes {count} crops at once, no more and no less", AGAIN)
        least, best, most = ((count, *rest) for count in plan.key.recipe.batch)
        profile.set_shape(tensor.name, least, best, most)
    if config.add_optimization_profile(profile) < 0:
        batch = " / ".join(map(str, plan.key.recipe.batch))
        raise EngineError(plan.what, f"its input cannot take {batch} crops at once", AGAIN)
