"""Keeps what a builder has measured on this GPU, so that the next build measures only what is new."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from engines.engine_files import DRAFT_PREFIX


class Cache(Protocol):
    """What is used of ITimingCache."""

    def serialize(self) -> bytes:
        """Return its bytes."""
        ...


class TimingConfig(Protocol):
    """What is used of IBuilderConfig."""

    def create_timing_cache(self, data: bytes) -> Cache | None:
        """Make a cache; of no bytes: an empty one."""
        ...

    def set_timing_cache(self, cache: Cache | None, ignore_mismatch: bool) -> bool:
        """Take in a cache; False: it is of another build or GPU."""
        ...

    def get_timing_cache(self) -> Cache | None:
        """Return the cache in use."""
        ...


def load_timing(config: TimingConfig, path: Path) -> None:
    """Give the builder what was measured before; a cache that it refuses is begun anew."""
    data = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(data) or config.create_timing_cache(b"")
    if cache is not None and not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def save_timing(config: TimingConfig, path: Path) -> None:
    """Write what the builder has measured to ``path``, at once or not at all."""
    cache = config.get_timing_cache()
    if cache is None:
        return
    draft = path.with_name(f"{DRAFT_PREFIX}{os.getpid()}-{path.name}")
    try:
        draft.write_bytes(bytes(cache.serialize()))
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
