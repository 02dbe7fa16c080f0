"""``echogfr doctor --self-test``: the golden vectors on every runtime and precision of this machine, and a report.

The report says what the machine is and what it measured; it names no person, no computer and no folder.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from edge_app.atomic import replacing
from engines import runtimes, selftest
from engines.bundle import Bundle, load_golden
from engines.cpu import read_cpu
from engines.errors import EchoGFRError
from engines.gpu import NoGpuError, read_gpu
from engines.manifest import Precision
from engines.session import Session
from engines.store import store_folder
from engines.version import version_lines

WARM_UP = 3  # runs that are not timed: the second one is recorded where a GPU records
TIMED = 30
Outcome = Literal["passed", "failed", "not run"]
Advance = Callable[[int, int], None]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Delta(_Model):
    """Largest difference of an output from the golden vectors, in its unit, and what is allowed."""

    output: str
    unit: str
    delta: float
    allowed: float


class Row(_Model):
    """One runtime at one precision. ``latency_ms``: of one crop, percentiles over 30 runs."""

    runtime: str
    precision: Precision
    outcome: Outcome
    detail: str
    provider: str = ""
    load_s: float | None = None
    latency_ms: dict[str, float] = {}
    deltas: tuple[Delta, ...] = ()


class Report(_Model):
    """What a user may send back."""

    report_version: Literal[1] = 1
    created: datetime
    versions: tuple[str, ...]
    cpu: str
    cores: int
    gpu: str
    machine: str
    bundle: str
    bundle_sha256: str
    synthetic: bool
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """True if something was run and nothing failed."""
        outcomes = {row.outcome for row in self.rows}
        return "failed" not in outcomes and "passed" in outcomes


def examine_runtimes(bundle: Bundle, advance: Advance) -> Report:
    """Run every runtime at every precision that the bundle has for it; what cannot be run has its reason.

    Raises
    ------
    BundleError
        The golden vectors cannot be used.
    """
    crops = load_golden(bundle).crops
    plans = tuple(_plans())
    rows = []
    for at, (runtime, precision) in enumerate(plans):
        advance(at, len(plans))
        rows.append(_row(bundle, runtime, precision, crops[:1]))
    advance(len(plans), len(plans))
    cpu, manifest = read_cpu(), bundle.manifest
    return Report(
        created=datetime.now(timezone.utc).replace(microsecond=0),
        versions=version_lines(),
        cpu=cpu.name,
        cores=cpu.cores,
        gpu=_gpu(),
        machine=platform.machine(),
        bundle=f"{manifest.bundle_id} {manifest.version}",
        bundle_sha256=bundle.sha256,
        synthetic=manifest.synthetic,
        rows=tuple(rows),
    )


def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON; the file appears whole or not at all."""
    with replacing(path) as unfinished:
        unfinished.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _plans() -> Iterator[tuple[str, Precision]]:
    for runtime in runtimes.RUNTIMES:
        for precision in runtime.order:
            yield runtime.name, precision


def _row(bundle: Bundle, runtime: str, precision: Precision, crop: NDArray[np.uint8]) -> Row:
    try:
        selection = runtimes.select(bundle, runtime, precision)
    except EchoGFRError as error:
        because = error.because.removeprefix(f"{runtime} {precision}: ")  # the one candidate, which the row names
        return Row(runtime=runtime, precision=precision, outcome="not run", detail=_anonymous(bundle, because))
    try:
        if selection.builds:
            detail = f"{selection.runtime.named}: start once with --runtime {runtime} --precision {precision}"
            return Row(runtime=runtime, precision=precision, outcome="not run", detail=detail)
        started = perf_counter()
        with selection.open() as session:
            load_s = perf_counter() - started
            return _measured(bundle, session, crop, load_s)
    except EchoGFRError as error:
        return Row(runtime=runtime, precision=precision, outcome="failed", detail=_anonymous(bundle, error.sentence))


def _measured(bundle: Bundle, session: Session, crop: NDArray[np.uint8], load_s: float) -> Row:
    test, info = selftest.measure(bundle, session), session.info
    return Row(
        runtime=info.runtime,
        precision=info.precision,
        outcome="passed" if test.passed else "failed",
        detail=test.explain(),
        provider=info.provider,
        load_s=round(load_s, 3),
        latency_ms=_latency(session, crop),
        deltas=tuple(Delta(output=h.output, unit=h.unit, delta=h.delta, allowed=h.tolerance) for h in test.heads),
    )


def _latency(session: Session, crop: NDArray[np.uint8]) -> dict[str, float]:
    took = []
    for _ in range(WARM_UP + TIMED):
        started = perf_counter()
        session.infer(crop)
        took.append((perf_counter() - started) * 1000)
    points = np.percentile(took[WARM_UP:], (50, 95, 99))
    return {name: round(float(value), 3) for name, value in zip(("p50", "p95", "p99"), points, strict=True)}


def _gpu() -> str:
    try:
        gpu = read_gpu()
    except NoGpuError as error:
        return f"none: {error}"
    return f"{gpu.name}, compute capability {gpu.compute_capability}, {gpu.multiprocessors} SM, driver {gpu.driver}"


def _anonymous(bundle: Bundle, text: str) -> str:
    """Return a text without the folders in it: they often carry a name."""
    folders = {str(bundle.path): "BUNDLE", str(bundle.path.absolute()): "BUNDLE", str(store_folder()): "ENGINES"}
    with suppress(RuntimeError):  # a user without a home
        folders[str(Path.home())] = "~"
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder, folders[folder])
    return text
