"""Says the cure where a library of the ``convert`` extra is missing, instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from engines.errors import UsageError

LIBRARIES = frozenset(
    {"torch", "torchvision", "onnx", "xgboost", "scipy", "matplotlib", "jinja2", "sympy", "onnxscript"}
)
OUTSIDE = "do it where EchoGFR is installed by pip (docs/converting.md), and import the bundle here"


@contextmanager
def convert_libraries(what: str) -> Iterator[None]:
    """Import inside this context: a missing library becomes one sentence; ``what`` is what cannot be done.

    Raises
    ------
    UsageError
        A library of the extra is not installed. Chained to the import error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LIBRARIES:
            raise
        if getattr(sys, "frozen", False):  # a package, which nothing can be added to
            raise UsageError(what, f"this package does without {library}", OUTSIDE) from error
        raise UsageError(what, f"{library} is not installed", "pip install 'echogfr[convert]'") from error
