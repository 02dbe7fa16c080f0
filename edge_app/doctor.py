"""What this machine can do: one finding a line, each with what to do where something is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge_app.bundles import admit_bundle, bundle_path
from edge_app.live.model import ModelPlan, open_model
from edge_app.live.phrases import declared
from edge_app.log import LOG_VARIABLE, NAMES, log_folder
from engines import runtimes
from engines.addon import find_addon
from engines.bundle import open_bundle
from engines.errors import EchoGFRError
from engines.server import Server
from engines.trust import TrustStore
from engines.version import version_lines

RING_BYTES = 6 * 1920 * 1080 * 3  # what the preview of a 1080p source needs
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``needed``: the app is of no use without it."""

    what: str
    good: bool
    detail: str
    needed: bool = False


def version_report(plan: ModelPlan) -> list[str]:
    """Return what is installed, which runtimes there are, and what would run the bundle of the plan and why."""
    lines = list(version_lines())
    lines += [f"runtime {name}: {found.state}, {found.detail}" for name, found in runtimes.available(plan.server)]
    lines += [f"asked for: {plan.asked}"] if plan.asked else []
    try:
        bundle = open_bundle(bundle_path(plan.bundle))
        verdict = admit_bundle(bundle, plan.signatures)
        selection = runtimes.select(bundle, plan.runtime, plan.precision, server=plan.server, fallback=plan.fallback)
    except EchoGFRError as error:
        return [*lines, error.sentence]
    mark = ", SYNTHETIC" if bundle.manifest.synthetic else ""
    lines.append(
        f"bundle {bundle.manifest.bundle_id} {bundle.manifest.version}{mark}, {bundle.sha256[:12]}, {verdict.told}"
    )
    lines += [f"  {declared(head)}" for head in bundle.manifest.heads]
    lines.append(f"selected {selection.explain()}")
    lines += [selection.note] if selection.note else []
    lines += [f"  {name} {precision}: {outcome}, {why}" for name, precision, outcome, why in selection.table()]
    return lines


def examine(plan: ModelPlan | None = None) -> list[Finding]:
    """Look at everything; nothing is changed, and no server is asked but the one of the plan."""
    plan = plan or ModelPlan()
    return [
        _addon(),
        *_runtimes(plan.server),
        _model(plan),
        _trust(),
        _display(),
        *_sources(),
        _dicom(),
        _words(),
        _shared_memory(),
        _log(),
    ]


def _addon() -> Finding:
    found = find_addon()
    if found is None:
        return Finding("GPU add-on", True, "none, and none is needed without an NVIDIA GPU")
    if found.fault or found.slots is None:
        cure = "install it again with --install-gpu FOLDER, or take it away with --remove-gpu"
        return Finding("GPU add-on", False, f"{found.home} is not used: {found.fault}; {cure}")
    return Finding("GPU add-on", True, f"{found.slots.current.told} in {found.folder}")


def _runtimes(server: Server | None) -> list[Finding]:
    return [Finding(f"runtime {name}", found.usable, found.detail) for name, found in runtimes.available(server)]


def _model(plan: ModelPlan) -> Finding:
    try:
        with open_model(plan) as model:
            summary = model.summary
            mark = " (SYNTHETIC stand-in)" if summary.synthetic else ""
            heads = ", ".join(head.title for head in summary.heads)
            on = f" on {summary.provider}" if plan.server is not None else ""
            detail = f"{summary.bundle_id} {summary.version}{mark}{on} says {heads}, {summary.signature}: "
            detail += "; ".join(summary.selection[:3])  # with by whom it was asked for
            return Finding("model", True, detail, needed=True)
    except EchoGFRError as error:
        return Finding("model", False, error.sentence, needed=True)


def _trust() -> Finding:
    store = TrustStore()
    try:
        faults = [f"{name}.pem cannot be used ({reason})" for name, reason in store.faults()]
        names = [key.name for key in store.keys()]
    except EchoGFRError as error:
        return Finding("signatures", False, error.sentence)
    trusted = f"{len(names)} trusted keys" + (f": {', '.join(names)}" if names else f" in {store.folder}")
    return Finding("signatures", not faults, "; ".join([trusted, *faults]))


def _display() -> Finding:
    if importlib.util.find_spec("PyQt6") is None:
        return Finding("window", False, "PyQt6 is not installed: only analyze will work", needed=True)
    server = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if server is None:
        return Finding("window", False, "no display is set: run will work offscreen for a moment and save a picture")
    return Finding("window", True, f"PyQt6 on display {server}")


def _sources() -> list[Finding]:
    """Say which libraries of sources are there; echogfr sources says what is connected."""
    parts = (
        ("video", "av", "PyAV for video files and network streams", "av"),
        ("grabbers", "linuxpy", "linuxpy for V4L2", "linuxpy"),
        ("screen", "mss", "mss for a part of the screen", "mss"),
        ("OpenIGTLink", "pyigtl", "pyigtl for images over OpenIGTLink", "'echogfr[igtl]'"),
    )
    return [
        Finding(what, True, told)
        if importlib.util.find_spec(module)
        else Finding(what, False, f"{module} is not installed: pip install {package}")
        for what, module, told, package in parts
    ]


def _dicom() -> Finding:
    if importlib.util.find_spec("pydicom") is None:
        return Finding("DICOM", False, "pydicom is not installed: pip install 'echogfr[dicom]'")
    if importlib.util.find_spec("pylibjpeg") is None:
        return Finding("DICOM", False, "compressed files need pylibjpeg: pip install 'echogfr[dicom]'")
    return Finding("DICOM", True, "pydicom with pylibjpeg for compressed files")


def _log() -> Finding:
    folder = log_folder()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding("log", False, f"{folder} cannot be written: name another folder in {LOG_VARIABLE}")
    written = [name for name in NAMES if (folder / name).is_file()]
    return Finding("log", True, f"{' and '.join(written) or 'none yet'} in {folder}")


def _words() -> Finding:
    if importlib.util.find_spec("rapidocr") is None:
        detail = "rapidocr is not installed, so printed lengths and presets are not checked: pip install rapidocr"
        return Finding("words", False, detail)
    return Finding("words", True, "rapidocr reads the scanner's result and preset, with networks of its own wheel")


def _shared_memory() -> Finding:
    if not SHARED_MEMORY.is_dir():
        return Finding("shared memory", True, "managed by the operating system")
    free = shutil.disk_usage(SHARED_MEMORY).free
    detail = f"{free / 2**20:.0f} MiB free, a 1080p preview needs {RING_BYTES / 2**20:.0f}"
    return Finding("shared memory", free > RING_BYTES, detail, needed=True)
