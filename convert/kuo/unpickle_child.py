"""The quarantine: reads ONE pickled booster from stdin and writes its raw bytes and feature names to stdout.

Runs alone in a child process (``python -I``) under limits of memory, time and files. Nothing of the pickle is
ever called or imported: the two names that a booster of xgboost 0.72 is made of stand for an empty
class and for ``bytearray``; any other name ends the child. Standard library only.
"""

from __future__ import annotations

import io
import json
import pickle
import resource
import sys

MEMORY_BYTES = 1 << 30
SECONDS = 20
FILE_LIMIT_BYTES = 256 << 20
BYTEARRAYS = {("builtins", "bytearray"), ("__builtin__", "bytearray")}


class RefusedError(pickle.UnpicklingError):
    """The pickle is none of a booster; the message is a clause that says why."""


class StandIn:
    """Takes the place of ``xgboost.core.Booster``: holds attributes and does nothing."""


class BoosterUnpickler(pickle.Unpickler):
    """Knows two names and refuses all others."""

    def find_class(self, module: str, name: str) -> type:
        """Return the stand-in or ``bytearray``.

        Raises
        ------
        RefusedError
            The pickle asks for anything else.
        """
        if (module, name) == ("xgboost.core", "Booster"):
            return StandIn
        if (module, name) in BYTEARRAYS:
            return bytearray
        raise RefusedError(f"it asks for {module}.{name}, which no booster needs")


def limit() -> None:
    """Bound memory and time, and forbid to write files or to start processes."""
    for kind, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def extract(data: bytes) -> tuple[bytes, list[str] | None]:
    """Return the raw model and the feature names (None: the booster has none).

    Raises
    ------
    pickle.UnpicklingError
        It is not the pickle of a booster.
    """
    booster = BoosterUnpickler(io.BytesIO(data)).load()
    handle = getattr(booster, "handle", None)
    names = getattr(booster, "feature_names", None)
    if not isinstance(booster, StandIn) or not isinstance(handle, bytearray):
        raise RefusedError("it holds no booster")
    if names is not None and not (isinstance(names, list) and all(type(name) is str for name in names)):
        raise RefusedError("its feature names are not text")
    return bytes(handle), names


def main() -> int:
    """Answer with one line of JSON and the raw bytes, or with one line on stderr and 1."""
    limit()
    try:
        raw, names = extract(sys.stdin.buffer.read(FILE_LIMIT_BYTES))
    except MemoryError:
        print("it asks for more memory than a booster needs", file=sys.stderr)
        return 1
    except RefusedError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001  # the boundary of the quarantine: a hostile pickle may raise anything
        print("it is no pickle or it is cut short", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(json.dumps({"bytes": len(raw), "names": names}).encode() + b"\n" + raw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
