"""The one door of conversion to TensorRT: which of its two libraries is used, what it can do, or why there is none."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import get_args

from engines.engine_record import EngineBuilder
from engines.errors import RuntimeUnavailableError, UsageError
from engines.libraries import CURES, MODULES, RuntimeName


@dataclass(frozen=True, slots=True)
class Library:
    """TensorRT, or TensorRT for RTX: the same interface under two module names."""

    runtime: RuntimeName
    module: ModuleType

    @property
    def builder(self) -> EngineBuilder:
        """Its name and version, for the record of what it builds."""
        return EngineBuilder(runtime=self.runtime, version=str(self.module.__version__))

    @property
    def network_flags(self) -> int:
        """Flags for a strongly typed network; 0 where every network is.

        Raises
        ------
        RuntimeUnavailableError
            It has weakly typed networks only, in which the types of an artifact are mere hints.
        """
        typed = getattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        if typed is not None:
            return 1 << int(typed)
        if hasattr(self.module.BuilderFlag, "FP16"):
            raise RuntimeUnavailableError(
                "No engine can be built",
                f"{self.runtime} {self.module.__version__} knows no strongly typed networks",
                "install TensorRT 10.3 or later",
            )
        return 0

    @property
    def times(self) -> bool:
        """Tell whether timing caches mean something to it; in TensorRT for RTX they are deprecated and do nothing."""
        return self.runtime == "tensorrt"

    @property
    def ahead_of_time(self) -> tuple[str, ...]:
        """Compute capabilities that it builds for without such a GPU: "8.6"; empty: it cannot."""
        known = getattr(self.module, "ComputeCapability", None)
        names = [] if known is None else [name for name in known.__members__ if name.startswith("SM")]
        return tuple(f"{name[2:-1]}.{name[-1]}" for name in names)


def load_library(runtime: str | None = None) -> Library:
    """Return the named library; None: TensorRT where it is installed, else TensorRT for RTX.

    Raises
    ------
    UsageError
        The name is unknown.
    RuntimeUnavailableError
        It is not installed, or cannot be loaded; the sentence has the cure.
    """
    names: tuple[RuntimeName, ...] = get_args(RuntimeName)
    wanted = tuple(name for name in names if runtime in (None, name))
    if not wanted:
        raise UsageError(
            f"The runtime '{runtime}' cannot be used", "it builds no engines", f"choose one of {', '.join(names)}"
        )
    reasons = []
    for name in wanted:
        try:
            return Library(name, importlib.import_module(MODULES[name]))
        except ModuleNotFoundError as error:
            if error.name != MODULES[name]:
                raise _unusable(name, error) from error
            reasons.append(f"{name} is not installed")
        except (ImportError, OSError) as error:
            raise _unusable(name, error) from error
    cure = " or ".join(CURES[name] for name in wanted)
    raise RuntimeUnavailableError("No engine can be built", " and ".join(reasons), cure)


def _unusable(name: RuntimeName, error: Exception) -> RuntimeUnavailableError:
    first = (str(error) or type(error).__name__).splitlines()[0]
    return RuntimeUnavailableError(
        "No engine can be built", f"{name} is installed but cannot be loaded ({first})", "install it again"
    )
