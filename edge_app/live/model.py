"""The model made ready: bundle opened, its signature judged, runtime chosen, session entered, self-test passed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_app.bundles import admit_bundle, bundle_path
from edge_app.bundles.locks import in_use
from edge_app.live.messages import ModelSummary
from engines import runtimes, selftest
from engines.bundle import open_bundle
from engines.reading import Reader
from engines.trust import Policy


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Which model on what; None: the shipped bundle, the best runtime and precision of this machine."""

    bundle: Path | str | None = None
    runtime: str | None = None
    precision: str | None = None
    signatures: Policy | None = None  # None: warn


@dataclass(frozen=True, slots=True, eq=False)
class OpenModel:
    """A reader that may be used, on the thread that opened it, until its ``with`` block ends."""

    reader: Reader
    summary: ModelSummary


@contextmanager
def open_model(plan: ModelPlan) -> Iterator[OpenModel]:
    """Open bundle and session, and insist on the self-test.

    Raises
    ------
    EchoGFRError
        The bundle, its signature, the runtime or the self-test failed; the sentence says which and what to do.
    """
    with ExitStack() as stack:
        path = bundle_path(plan.bundle)
        stack.enter_context(in_use(path))
        bundle = open_bundle(path)
        verdict = admit_bundle(bundle, plan.signatures)
        selection = runtimes.select(bundle, plan.runtime, plan.precision)
        session = stack.enter_context(selection.open())
        tested = selftest.run(bundle, session)
        manifest, info = bundle.manifest, session.info
        others = (
            f"{name} {at}: {outcome}, {why}" for name, at, outcome, why in selection.table() if outcome != "chosen"
        )
        summary = ModelSummary(
            bundle_id=manifest.bundle_id,
            version=manifest.version,
            title=manifest.title,
            sha256=bundle.sha256,
            signature=verdict.told,
            synthetic=manifest.synthetic,
            members=manifest.members,
            heads=manifest.heads,
            runtime=info.runtime,
            provider=info.provider,
            precision=info.precision,
            selection=(selection.explain(), f"self-test passed: {tested.explain()}", *others),
            limits=manifest.limits,
        )
        yield OpenModel(Reader(bundle, session), summary)
