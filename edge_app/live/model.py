"""The model made ready: bundle opened, its signature judged, runtime chosen, session entered, self-test passed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_app.bundles import admit_bundle, bundle_path
from edge_app.bundles.locks import in_use
from edge_app.live.messages import ModelSummary
from edge_app.live.rotation import Rotate, decide
from engines import runtimes, selftest
from engines.bundle import Bundle
from engines.fallback import FallbackSession
from engines.localizer import open_reader
from engines.memory import memory_limited
from engines.reading import Reader
from engines.selection import Selection
from engines.selftest import SelfTest
from engines.served import TritonSession
from engines.server import Server
from engines.session import Session
from engines.trust import Policy


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Which model on what; None: the shipped bundle, the best runtime and precision of this machine."""

    bundle: Path | str | None = None
    runtime: str | None = None
    precision: str | None = None
    server: Server | None = None
    fallback: str | None = None  # consent: what reads here while the server is away, or in place of a failed engine
    rotate: Rotate = "off"  # of a recording, which has the time, each frame is read by all members
    signatures: Policy | None = None  # None: warn
    asked: str = ""  # by whom runtime and precision were asked for, in words; empty: not known


@dataclass(frozen=True, slots=True, eq=False)
class OpenModel:
    """A reader that may be used, on the thread that opened it, until its ``with`` block ends."""

    reader: Reader
    summary: ModelSummary
    rotates: bool = False  # members take turns while the picture is live


@contextmanager
def open_model(plan: ModelPlan) -> Iterator[OpenModel]:
    """Open bundle and session, and insist on the self-test.

    Raises
    ------
    EchoGFRError
        The bundle, its signature, the runtime or the self-test failed, or members that cannot take turns were asked to;
        the sentence says which and what to do.
    """
    with ExitStack() as stack:
        path = bundle_path(plan.bundle)
        stack.enter_context(in_use(path))
        bundle = open_reader(path)
        verdict = admit_bundle(bundle, plan.signatures)
        stack.enter_context(memory_limited())
        ready = stack.enter_context(_ready(bundle, plan))
        selection, session, tested = ready.selection, ready.session, ready.tested
        decision = decide(plan.rotate, bundle, session)
        manifest, info = bundle.manifest, session.info
        others = (
            f"{name} {at}: {outcome}, {why}" for name, at, outcome, why in selection.table() if outcome != "chosen"
        )
        turns = (decision.reason,) if decision.reason else ()
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
            selection=(
                selection.explain(),
                f"self-test passed: {tested.explain()}",
                *((f"asked for: {plan.asked}",) if plan.asked else ()),
                *((selection.note,) if selection.note else ()),
                *turns,
                *_consent(plan),
                *others,
            ),
            limits=manifest.limits,
            note=selection.note,
        )
        yield OpenModel(Reader(bundle, session, selection.note), summary, decision.rotates)


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A session that is entered and passed its self-test."""

    selection: Selection
    session: Session
    tested: SelfTest


@contextmanager
def _ready(bundle: Bundle, plan: ModelPlan) -> Iterator[_Ready]:
    """Open the preferred session; where its engine fails the self-test, what takes its place, if anything may.

    An older good engine of the same artifact may, and what the operator consented to. Ends, as each round marks an
    engine as failed.
    """
    while True:
        selection = runtimes.select(bundle, plan.runtime, plan.precision, server=plan.server, fallback=plan.fallback)
        with ExitStack() as stack:
            session = stack.enter_context(open_session(selection, plan.fallback))
            try:
                tested = selftest.run(bundle, session)
            except selftest.SelfTestError as error:
                if not selection.reject(error.because):
                    raise
                continue
            yield _Ready(selection, session, tested)
            return


def open_session(selection: Selection, fallback: str | None) -> Session:
    """Return the session of a selection, not yet entered; of a server, with the fallback that was consented to.

    Raises
    ------
    RuntimeUnavailableError
        The fallback cannot run the bundle at the precision of the server.
    """
    session = selection.open()
    if fallback is None or not isinstance(session, TritonSession):
        return session
    local = runtimes.select(selection.bundle, fallback, selection.precision)
    return FallbackSession(selection.bundle, session, local.open())


def _consent(plan: ModelPlan) -> tuple[str, ...]:
    if plan.server is None or plan.fallback is None:
        return ()
    return (f"while the server is away, {plan.fallback} reads on this machine: the operator's consent",)
