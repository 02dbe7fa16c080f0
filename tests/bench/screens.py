"""Writes a folder of composed screens with their truth, for ``tests/bench/imaging.py``.

Run: ``python tests/bench/screens.py --out DIR [--count 600] [--first 0] [--harder]``. Develop on seeds below 10000;
seeds from 10000 on are for judging, and nobody looks at those while working on a finder.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2

from tests.imaging.screens import real_available, write_folder


def main() -> None:
    """Write the folder."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--count", type=int, default=600)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--harder", action="store_true", help="as journals, messengers and old scalers leave them")
    given = options.parse_args()
    cv2.setNumThreads(1)
    if not real_available():
        print("The real pictures are not there: phantom images stand in for them.")
    seeds = range(given.first, given.first + given.count)
    write_folder(given.out, seeds, lambda n: print(f"\r{n}/{given.count}", end="", flush=True), harder=given.harder)
    print(f"\nwrote {given.out}")


if __name__ == "__main__":
    main()
