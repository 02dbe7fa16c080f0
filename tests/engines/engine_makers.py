"""The record that a build writes of an engine; the bytes in tests are no engines."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

from engines.engine_record import EngineKey, EngineRecord, LayerSummary, engine_name
from engines.manifest import Precision


def record_of(data: bytes, key: EngineKey, artifact: str = "fp16.onnx", precision: Precision = "fp16") -> EngineRecord:
    """The record that goes with these bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    return EngineRecord(
        key=key,
        engine=engine_name(key, sha256),
        sha256=sha256,
        size_bytes=len(data),
        bundle_id="example",
        bundle_version="1",
        bundle_sha256="b" * 64,
        artifact=artifact,
        precision=precision,
        created=datetime(2026, 11, 22, tzinfo=timezone.utc),
        build_seconds=1.0,
        layers=LayerSummary(layers=3, planned={"Half": 2}, compiled={"Half": 2}, fallbacks=()),
        warnings=(),
    )
