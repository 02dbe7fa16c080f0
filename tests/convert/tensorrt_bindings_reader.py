"""Loads one version of the vendor's bindings and prints, as JSON, which names it lacks and what it says of itself.

    python tensorrt_bindings_reader.py < NAMES        with the bindings on PYTHONPATH, libraries on LD_LIBRARY_PATH

The libraries are stand-ins without a function that works, so that nothing but names can be asked, and only in here.
"""

from __future__ import annotations

import json
import os
import sys

sys.setdlopenflags(os.RTLD_LAZY)  # of the functions that the stand-ins lack, none is called

import tensorrt_bindings  # noqa: E402

from convert.tensorrt_library import Library  # noqa: E402


def lacks(owner: str, name: str) -> bool:
    """Tell whether a class, ``ILogger.Severity``, or the module itself, of no name, lacks a name."""
    found: object = tensorrt_bindings
    for part in filter(None, owner.split(".")):
        found = getattr(found, part, None)
    return not hasattr(found, name)


if __name__ == "__main__":
    names = [(owner, name) for owner, found in json.load(sys.stdin).items() for name in found]
    library = Library("tensorrt", tensorrt_bindings)
    answer = {
        "version": library.builder.version,
        "missing": sorted(f"{owner}.{name}".lstrip(".") for owner, name in names if lacks(owner, name)),
        "network_flags": library.network_flags,
        "strongly_typed": int(tensorrt_bindings.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
        "weakly_typed_too": hasattr(tensorrt_bindings.BuilderFlag, "FP16"),
        "ahead_of_time": library.ahead_of_time,
        "times": library.times,
    }
    print(json.dumps(answer))
