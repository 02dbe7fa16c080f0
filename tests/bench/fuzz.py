"""Fuzzes every reader of files from elsewhere, and kills ``bundle import`` and ``build`` at random moments.

Run: ``python tests/bench/fuzz.py CASES [KILLS] [SEED]``, for example ``20000 50``. The kinds share CASES. A case that
ends in anything but acceptance or one sentence, hangs or leaves a file ends the run with its name; the same seed
gives the same cases. After each kill the bundles on the shelf must open, a good engine must stay good, and in the end
the same command must do its work.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from edge_app.bundles import SHIPPED  # noqa: E402
from edge_app.bundles.shelf import Shelf  # noqa: E402
from engines.bundle import open_bundle  # noqa: E402
from engines.pack import pack  # noqa: E402
from engines.store import EngineStore  # noqa: E402
from tests.engines.bundle_makers import BundlePlan, write_bundle  # noqa: E402
from tests.engines.fuzz_targets import Ground  # noqa: E402
from tests.engines.killing import command, environment, kill_at_random  # noqa: E402


def fuzz(folder: Path, cases: int, seed: int) -> None:
    ground = Ground(folder, write_bundle(folder / "bundle", BundlePlan()))
    each = -(-cases // len(ground.kinds))
    for kind in ground.kinds:
        tally = ground.run(kind, each, seed)
        print(f"{kind:10} {dict(sorted(tally.ends.items()))}, slowest {1000 * tally.slowest_s:.0f} ms", flush=True)


def kill_imports(folder: Path, kills: int) -> None:
    """The shelf holds an older bundle; imports of a newer one are killed."""
    older = shutil.copytree(SHIPPED, folder / "older")
    manifest = older / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": "1.0.0"', '"version": "0.9.0"'))
    pack(open_bundle(SHIPPED), folder / "new.zip", lambda done, total: None)
    env = environment(ECHOGFR_BUNDLES=folder / "shelf", ECHOGFR_TRUST=folder / "trust")
    words = command("edge_app.cli", ["bundle", "import", folder / "new.zip"])
    back = command("edge_app.cli", ["bundle", "import", older])
    subprocess.run(back, env=env, check=True, capture_output=True)
    shelf, seen = Shelf(folder / "shelf"), set()

    def look() -> None:
        (entry,) = shelf.entries()
        if entry.current is None:
            raise AssertionError(entry.fault)
        version = open_bundle(entry.current).manifest.version
        seen.add(version)
        if version == "1.0.0":  # the kill came too late: begin anew
            subprocess.run(back, env=env, check=True, capture_output=True)

    started = time.monotonic()
    subprocess.run(words, env=env, check=True, capture_output=True)
    whole_s = time.monotonic() - started
    look()
    starts = kill_at_random(words, env, kills, whole_s, look)
    subprocess.run(words, env=env, check=True, capture_output=True)
    left = sorted(path.name for path in (folder / "shelf").iterdir())
    (entry,) = shelf.entries()
    held = sum(path.is_dir() for path in (folder / "shelf" / entry.bundle_id).iterdir())
    print(f"import: {kills} kills in {starts} runs of {whole_s:.1f} s; then {left}, {held} slots, seen {sorted(seen)}")
    if left != [".lock", entry.bundle_id] or held != 2:
        raise AssertionError("something is left on the shelf")


def kill_builds(folder: Path, kills: int) -> None:
    """The store holds a good engine; builds that would replace it are killed."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        print("build: not killed, TensorRT for RTX is not installed here")
        return
    store = EngineStore(folder / "engines")
    words = ["build", SHIPPED, "--runtime", "tensorrt-rtx", "--precision", "int8", "--compute-capability", "8.6"]
    again = command("convert.cli", [*words, "--again", "--out", store.folder])
    started = time.monotonic()
    subprocess.run(again, env=environment(), check=True, capture_output=True)
    whole_s = time.monotonic() - started

    def look() -> None:
        states = [entry.state for entry in store.entries() if entry.record is not None and not entry.previous]
        if states != ["good"]:
            raise AssertionError(f"the good engine is lost: {states}")

    starts = kill_at_random(again, environment(), kills, whole_s, look)
    removed = len(store.prune())
    subprocess.run(again, env=environment(), check=True, capture_output=True)
    states = [entry.state for entry in store.entries()]
    print(f"build: {kills} kills in {starts} runs of {whole_s:.1f} s; {removed} drafts pruned; then {states}")
    if states != ["good", "good"]:  # the current one and the previous
        raise AssertionError("something is left in the store")


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:]]
    cases, kills, seed = numbers + [20000, 50, 2019][len(numbers) :]
    works = [lambda folder: fuzz(folder, cases, seed)] if cases else []
    works += [lambda folder: kill_imports(folder, kills), lambda folder: kill_builds(folder, kills)] if kills else []
    for work in works:
        with tempfile.TemporaryDirectory(prefix="echogfr-fuzz-") as outside:
            folder = Path(outside) / "ground"
            folder.mkdir()
            work(folder)


if __name__ == "__main__":
    main()
