"""Reads damaged videos, streams and DICOM files, each in a process that may die, and counts how it ends.

Run: ``python tests/bench/corrupt.py [CASES] [SEED]``; 200 cases of each without arguments. Every
end but pictures or one sentence (a traceback, a crash of a decoder, a hang) ends the run with the name of the file,
which is kept. Real clips and DICOM files are taken from ``../shared/data`` too, where that is there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.capture.damage import KINDS, damaged, read, read_stream, wholes  # noqa: E402
from tests.capture.test_dicom import write_dicom  # noqa: E402

LONGEST_S = 60.0
SHARED = ROOT.parent / "shared" / "data"
LARGEST = 6 << 20  # bytes; larger files only take longer


def bases(folder: Path) -> dict[str, list[Path]]:
    pixels = np.random.default_rng(1).integers(0, 255, (6, 48, 64, 3)).astype(np.uint8)
    colour = write_dicom(folder / "rgb.dcm", pixels, FrameTime="40")
    dicom = [colour, write_dicom(folder / "grey.dcm", pixels[..., 0], "MONOCHROME2")]
    real = [path for path in sorted(SHARED.rglob("*")) if path.is_file() and path.stat().st_size < LARGEST]
    return {
        "videos": wholes(folder) + [path for path in real if path.suffix == ".mp4"],
        "streams": [path for path in wholes(folder) if path.suffix in (".ts", ".mkv", ".mpg")],
        "DICOM": dicom + [path for path in real if path.suffix == ".dcm"],
    }


def run(name: str, whole: list[Path], cases: int, seed: int, folder: Path) -> None:
    rng = np.random.default_rng([seed, len(name)])
    paths = []
    for case in range(cases):
        base, kind = whole[case % len(whole)], KINDS[case // len(whole) % len(KINDS)]
        path = folder / f"{name}-{case:04}-{kind}-{base.stem}{base.suffix}"
        path.write_bytes(damaged(base.read_bytes(), kind, rng))
        paths.append(path)
    ends: Counter[str] = Counter()
    slowest = (0.0, "")
    while paths:
        with subprocess.Popen(
            [sys.executable, __file__, "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            while paths:
                start = time.monotonic()
                child.stdin.write(f"{paths[0]}\n")
                child.stdin.flush()
                answer = child.stdout.readline().strip()
                took = time.monotonic() - start
                slowest = max(slowest, (took, paths[0].name))
                if not answer or took > LONGEST_S:
                    child.kill()
                    raise SystemExit(f"{paths[0]}: the reader died or hung after {took:.1f} s; the file is kept")
                ends[answer] += 1
                paths.pop(0).unlink()
            child.stdin.close()
    print(f"{name:8} {dict(sorted(ends.items()))}, slowest {1000 * slowest[0]:.0f} ms ({slowest[1]})", flush=True)


def child() -> None:
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        print(read_stream(path) if path.name.startswith("streams") else read(path), flush=True)


def main() -> None:
    given = [int(word) for word in sys.argv[1:3]]
    cases, seed = [*given, *(200, 1)[len(given) :]]
    folder = Path(tempfile.mkdtemp(prefix="echogfr-corrupt-"))
    for name, whole in bases(folder).items():
        run(name, whole, cases, seed, folder)


if __name__ == "__main__":
    child() if sys.argv[1:] == ["--child"] else main()
