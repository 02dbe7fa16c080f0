"""Imports a bundle onto the shelf: looked at from outside, unpacked, verified, tested, and only then current."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.bundles.shelf import Shelf
from engines import runtimes, selftest
from engines.bundle import Bundle, open_bundle, parse_manifest
from engines.consistency import MANIFEST_NAME, SIGNATURE_NAME, contradictions, listed_files
from engines.errors import BundleError, EchoGFRError
from engines.manifest import BundleManifest
from engines.memory import memory_limited
from engines.parcel import Moved, Parcel, open_parcel, reading, refused
from engines.trust import Policy, TrustStore, Verdict, insist, judge

SPARE_BYTES = 64 << 20  # left free on the disk: records and settings need room too


def proven(bundle: Bundle) -> None:
    """Insist on the self-test on the processor, which every machine has; raises ``EchoGFRError``."""
    with memory_limited(), runtimes.select(bundle, "onnxruntime").open() as session:
        selftest.run(bundle, session)


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a bundle is taken in."""

    policy: Policy
    trust: TrustStore = field(default_factory=TrustStore)
    prove: Callable[[Bundle], None] = proven


@dataclass(frozen=True, slots=True)
class Received:
    """What became of an import; ``new`` False: the same bundle was current already."""

    manifest: BundleManifest
    path: Path
    verdict: Verdict
    new: bool


def receive(path: Path, shelf: Shelf, terms: Terms, moved: Moved) -> Received:
    """Import a folder or a zip archive; any error, Ctrl-C included, leaves the shelf as it was.

    Raises
    ------
    EchoGFRError
        It is no whole bundle, its signature is not what the policy asks for, the disk is too full, or it failed its
        self-test on this machine.
    """
    with open_parcel(path) as parcel:
        manifest, verdict = look(parcel, terms)
        with shelf.locked():
            _check_room(parcel, shelf.folder)
            draft = shelf.draft()
            try:
                return _install(parcel, shelf, terms, moved, draft, manifest, verdict)
            except OSError as error:
                raise refused(path, f"{shelf.folder} cannot be written ({error.strerror})", "check the disk") from error
            finally:
                shutil.rmtree(draft, ignore_errors=True)


def look(parcel: Parcel, terms: Terms) -> tuple[BundleManifest, Verdict]:
    """Return manifest and verdict of a parcel whose names and sizes are those of its manifest.

    Raises
    ------
    EchoGFRError
        They are not, the manifest makes no sense, or the policy refuses the signature.
    """
    raw = parcel.manifest()
    manifest = parse_manifest(parcel.path, raw)
    faults = [*contradictions(manifest), *_size_faults(parcel, manifest)]
    if faults:
        raise refused(parcel.path, "; ".join(faults[:4]), "get the bundle again from where it came from")
    verdict = judge(raw, parcel.signature(), terms.trust)
    insist(verdict, terms.policy, f"The bundle {parcel.path} cannot be imported")
    return manifest, verdict


def _size_faults(parcel: Parcel, manifest: BundleManifest) -> list[str]:
    wanted = {ref.file: ref.size_bytes for ref in listed_files(manifest)}
    there = {name: size for name, size in parcel.sizes.items() if name not in (MANIFEST_NAME, SIGNATURE_NAME)}
    faults = [f"{name} is missing" for name in wanted if name not in there]
    faults += [f"{name} is not listed in the manifest" for name in there if name not in wanted]
    differ = (name for name in wanted if name in there and there[name] != wanted[name])
    return [*faults, *(f"{name} has {there[name]} bytes instead of {wanted[name]}" for name in differ)]


def _check_room(parcel: Parcel, folder: Path) -> None:
    free, needed = shutil.disk_usage(folder).free, parcel.total_bytes + SPARE_BYTES
    if free < needed:
        because = f"{needed >> 20} MiB are needed and {free >> 20} are free in {folder}"
        raise refused(parcel.path, because, "free some space there")


def _install(
    parcel: Parcel, shelf: Shelf, terms: Terms, moved: Moved, draft: Path, manifest: BundleManifest, verdict: Verdict
) -> Received:
    parcel.unpack(draft, moved)
    with reading(parcel.path):
        draft.chmod(0o755)  # not the 0700 of a temporary folder: others may run the app
    bundle = _verified(parcel.path, draft)
    if judge(bundle.manifest_bytes(), _kept_signature(draft), terms.trust) != verdict or bundle.manifest != manifest:
        raise refused(parcel.path, "it changed while it was read", "copy it from a medium that holds still")
    current, before = shelf.current(manifest.bundle_id), _last_whole(shelf, manifest.bundle_id)
    if current is not None and current == before and _is_same(current, bundle):
        return Received(manifest, current, verdict, new=False)
    moved(parcel.total_bytes, parcel.total_bytes)  # so that a long self-test shows that something goes on
    try:
        terms.prove(bundle)
    except EchoGFRError as error:
        because = f"it failed its self-test here ({error.what}: {error.because})"
        raise refused(parcel.path, because, "go on with the one before, and have the model converted again") from error
    return Received(manifest, shelf.put(draft, manifest.bundle_id, bundle.sha256, before), verdict, new=True)


def _verified(path: Path, draft: Path) -> Bundle:
    try:
        return open_bundle(draft)
    except BundleError as error:  # of the draft, which nobody knows
        raise refused(path, error.because, error.cure) from error


def _kept_signature(folder: Path) -> bytes | None:
    path = folder / SIGNATURE_NAME
    return path.read_bytes() if path.is_file() else None


def _is_same(current: Path, bundle: Bundle) -> bool:
    """Tell whether a whole bundle is the same, its signature included."""
    same = open_bundle(current).sha256 == bundle.sha256
    return same and _kept_signature(current) == _kept_signature(bundle.path)


def _last_whole(shelf: Shelf, bundle_id: str) -> Path | None:
    """Return the current bundle, or where it is damaged the previous one: what a rollback can go back to."""
    found = shelf.find(bundle_id)
    slots = () if found is None else (found.current, found.previous)
    return next((path for path in slots if path is not None and _is_whole(path)), None)


def _is_whole(path: Path) -> bool:
    try:
        open_bundle(path)
    except BundleError:
        return False
    return True
