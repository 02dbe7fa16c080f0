"""What is fuzzed: every reader of a file that comes from elsewhere. A case may be accepted or refused, nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.bundles.receive import Terms, receive
from edge_app.bundles.shelf import SLOTS_NAME, Shelf
from engines import _cryptography
from engines.bundle import load_golden, open_bundle, parse_manifest
from engines.consistency import contradictions
from engines.domain import DomainModel
from engines.engine_record import EngineBuilder, EngineKey, EngineRecipe, EngineRecord, EngineTarget
from engines.errors import BundleError, EchoGFRError
from engines.npz import parse_npz
from engines.pack import pack
from engines.signature import sign, write_signature
from engines.store import EngineStore
from engines.trust import TrustStore, judge, judge_bundle

from .engine_makers import record_of
from .fuzz_mutate import hostile_zip, mutate_bytes, mutate_json

CASE_LIMIT_S = 20  # a case takes milliseconds: this is a hang, even on a busy machine


class HangError(Exception):
    """A case did not end."""


@dataclass
class Tally:
    """How the cases of one kind ended, and the slowest of them."""

    ends: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Ground:
    """A folder with one good bundle, signed, packed and installed, a good engine, and what each kind does to them."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle
        self.trust = TrustStore(folder / "trust")
        private, public = _cryptography.new_pair(None)
        (folder / "signer.pem").write_bytes(public)
        self.public = public
        self.trust.add(folder / "signer.pem")
        self.manifest = (bundle / "manifest.json").read_bytes()
        self.signature = write_signature(bundle, sign(self.manifest, private, None, "signer")).read_bytes()
        self.files = {path.name: path.read_bytes() for path in sorted(bundle.iterdir())}
        pack(open_bundle(bundle), folder / "good.zip", lambda done, total: None)
        self.packed = (folder / "good.zip").read_bytes()
        self.terms = Terms("warn", self.trust, lambda tested: None)
        self.shelf = Shelf(folder / "shelf")
        receive(folder / "good.zip", self.shelf, self.terms, lambda done, total: None)
        self.work = folder / "work"
        self.engine, self.record = _engine()

    @property
    def kinds(self) -> dict[str, Callable[[random.Random], None]]:
        return {
            "manifest": self._manifest,
            "bundle": self._bundle,
            "signature": self._signature,
            "key": self._key,
            "archive": self._archive,
            "slots": self._slots,
            "npz": self._npz,
            "engine": self._engine,
        }

    def run(self, kind: str, cases: int, seed: int) -> Tally:
        """Run so many cases; raises what is neither accepted nor refused, naming kind and seed of the case."""
        tally, before = Tally(), self._listing()
        for case in range(cases):
            name = f"{seed}/{kind}/{case}"
            started = time.monotonic()
            try:
                with _limited():
                    end = self._once(kind, random.Random(name))
            except Exception as error:
                raise AssertionError(f"case {name} ended in {error!r}") from error
            tally.ends[end] += 1
            tally.slowest_s = max(tally.slowest_s, time.monotonic() - started)
            shutil.rmtree(self.work, ignore_errors=True)
            after = self._listing()
            if after != before and kind == "archive" and end == "accepted":
                self._reset_shelf()
                after = self._listing()
            if after != before:
                raise AssertionError(f"case {name} left {sorted(after ^ before)}")
        return tally

    def _once(self, kind: str, rng: random.Random) -> str:
        self.work.mkdir()
        try:
            self.kinds[kind](rng)
        except EchoGFRError as error:
            if "\n" in error.sentence or len(error.sentence) > 4000:
                raise AssertionError(f"no sentence: {error.sentence[:200]!r}") from error
            return "refused"
        return "accepted"

    def _listing(self) -> set[str]:
        """All that lies on the ground and beside it, where a path that escapes would lead."""
        inside = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path != self.work}
        return inside | {f"../{path.name}" for path in self.folder.parent.iterdir()}

    def _reset_shelf(self) -> None:
        """Go back to the one good bundle, as it was at the start."""
        found = self.shelf.find(json.loads(self.manifest)["bundle_id"])
        for entry in self.shelf.entries():
            if found is None or entry.bundle_id != found.bundle_id:
                self.shelf.remove(entry.bundle_id)
        if found is not None and found.previous is not None:
            self.shelf.rollback(found.bundle_id)
            slots = found.previous.parent / SLOTS_NAME
            slots.write_text(json.dumps({"current": found.previous.name}))
            with self.shelf.locked():
                pass

    def _manifest(self, rng: random.Random) -> None:
        manifest = parse_manifest(self.work, mutate_json(rng, self.manifest))
        _refuse_if(list(contradictions(manifest)))

    def _bundle(self, rng: random.Random) -> None:
        """Files changed, and most times listed as they are then: what lies behind the hashes is reached too."""
        folder = self.work / "b"
        folder.mkdir()
        files = dict(self.files)
        name = rng.choice(sorted(files))
        files[name] = mutate_json(rng, files[name]) if name.endswith("json") else mutate_bytes(rng, files[name])
        manifest = json.loads(self.manifest)
        if name != "manifest.json" and rng.random() < 0.8:
            files["manifest.json"] = json.dumps(_relisted(manifest, name, files[name])).encode()
        for each, raw in files.items():
            (folder / each).write_bytes(raw)
        match rng.randrange(12):
            case 0:
                (folder / name).unlink()
                (folder / name).symlink_to(self.bundle / name)
            case 1:
                (folder / name).unlink()
                os.mkfifo(folder / name)
            case 2:
                (folder / name).unlink()
                (folder / name).mkdir()
        bundle = open_bundle(folder)
        judge_bundle(bundle, self.trust)
        load_golden(bundle)
        DomainModel.parse(bundle.read(bundle.manifest.domain.file), "domain")

    def _signature(self, rng: random.Random) -> None:
        raw = mutate_json(rng, self.signature)
        verdict = judge(self.manifest, raw, self.trust)
        if verdict.state == "trusted" and json.loads(raw) != json.loads(self.signature):
            raise AssertionError("a changed signature is trusted")
        _refuse_if([] if verdict.state == "trusted" else [verdict.told])

    def _key(self, rng: random.Random) -> None:
        (self.work / "k.pem").write_bytes(mutate_bytes(rng, self.public))
        TrustStore(self.work / "trust").add(self.work / "k.pem")

    def _archive(self, rng: random.Random) -> None:
        path = self.work / "b.zip"
        raw = hostile_zip(rng, self.files) if rng.random() < 0.8 else mutate_bytes(rng, self.packed)
        path.write_bytes(raw)
        receive(path, self.shelf, self.terms, lambda done, total: None)

    def _slots(self, rng: random.Random) -> None:
        shelf, home = Shelf(self.work / "shelf"), self.work / "shelf" / "some"
        home.mkdir(parents=True)
        good = json.dumps({"format": 1, "current": "0" * 16 + "-abcdefgh", "previous": None}).encode()
        (home / SLOTS_NAME).write_bytes(mutate_json(rng, good))
        (shelf.folder / "chosen").write_bytes(mutate_bytes(rng, b"some\n"))
        shelf.chosen()
        for entry in shelf.entries():
            _refuse_if([] if entry.fault is None else [entry.fault])
        shelf.rollback("some")

    def _npz(self, rng: random.Random) -> None:
        name = rng.choice([name for name in self.files if name.endswith("npz")])
        parse_npz(mutate_bytes(rng, self.files[name]), name)

    def _engine(self, rng: random.Random) -> None:
        """A changed record, engine or name in the engine store; what is no more good is said to be so."""
        store = EngineStore(self.work / "engines")
        store.prepare()
        draft = store.draft()
        draft.write_bytes(self.engine)
        path = store.put(draft, self.record)
        record = store.folder / f"{self.record.key.name}.json"
        match rng.randrange(4):
            case 0:
                path.write_bytes(mutate_bytes(rng, self.engine))
            case 1:
                os.replace(record, store.folder / f"{rng.randbytes(12).hex()}.json")
            case _:
                record.write_bytes(mutate_json(rng, record.read_bytes()))
        found = store.find(self.record.key)
        entries = store.entries()
        store.prune()
        if any(entry.state == "corrupt" for entry in store.entries()):
            raise AssertionError("prune leaves what is corrupt")
        if found is not None and found.state == "good" and path.read_bytes() != self.engine:
            raise AssertionError("a changed engine is good")
        _refuse_if([entry.reason for entry in entries if entry.state != "good"])


def _engine() -> tuple[bytes, EngineRecord]:
    raw = bytes(range(256)) * 4
    key = EngineKey(
        artifact_sha256="a" * 64,
        recipe=EngineRecipe(batch=(1, 4, 16), workspace_mib=None, dla_core=None),
        builder=EngineBuilder(runtime="tensorrt-rtx", version="1.7.1"),
        target=EngineTarget(compute_capabilities=("8.6",)),
    )
    return raw, record_of(raw, key)


def _relisted(manifest: dict[str, object], name: str, raw: bytes) -> dict[str, object]:
    """Return a manifest that lists a file as it is now."""
    text = json.loads(json.dumps(manifest))
    for value in [*text.values(), *text["artifacts"]]:
        if isinstance(value, dict) and value.get("file") == name:
            value |= {"sha256": hashlib.sha256(raw).hexdigest(), "size_bytes": len(raw)}
    return dict(text)


def _refuse_if(reasons: list[str]) -> None:
    if reasons:
        raise BundleError("It is not taken", reasons[0].splitlines()[0], "try another")


@contextmanager
def _limited() -> Iterator[None]:
    """End a case that hangs."""

    def over(number: int, frame: object) -> None:
        raise HangError(f"no end after {CASE_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(CASE_LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        with suppress(ValueError):
            signal.signal(signal.SIGALRM, before)
