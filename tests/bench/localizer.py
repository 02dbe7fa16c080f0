"""What the localizer does on streams: phantom patients it never saw, and real frames without a kidney.

    OMP_NUM_THREADS=1 python tests/bench/localizer.py [--localizer BUNDLE] [--patients 12] [FILE ...]

For the phantom: error of the worse pole when a proposal is shown first, and milliseconds on one core. For each FILE:
how many frames the app proposes on, and on how many it would without the rule that a synthetic localizer is asked on
synthetic pictures alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import thread_time

import cv2
import numpy as np

from edge_app.bundles import SHIPPED_LOCALIZER
from edge_app.capture.open import open_source
from edge_app.capture.phantom import PhantomTruth
from edge_app.imaging.observer import SceneObserver
from edge_app.live.proposing import Proposer, open_proposer

LOOKS = ("ge", "philips", "canon")
FRAMES = 30


def phantom(proposer: Proposer, patients: int) -> None:
    errors, took = [], []
    for number in range(patients):
        proposer.forget()
        observer = SceneObserver()
        uri = f"phantom:look={LOOKS[number % 3]},seed={7000 + number},fps=10,cycle=live,frames={FRAMES}"
        with open_source(uri) as source:
            shown = None
            while shown is None and (frame := source.read()) is not None:
                scene = observer.observe(frame)
                start = thread_time()
                shown = proposer.consider(frame, scene)
                took.append((thread_time() - start) * 1000)
                if shown is not None and isinstance(frame.truth, PhantomTruth):
                    ends = np.array(shown.poles).reshape(2, 2)
                    length = frame.truth.kidney_length_cm * frame.truth.px_per_cm
                    errors.append(float(np.linalg.norm(ends - np.array(frame.truth.poles), axis=1).max()) / length)
    p50, p95, most = np.percentile(errors, [50, 95, 100]) * 100
    print(f"phantom: proposed for {len(errors)} of {patients}; error of the worse pole p50 {p50:.1f} % p95 {p95:.1f} %")
    print(f"         largest {most:.1f} %; {np.median(took):.1f} ms, p95 {np.percentile(took, 95):.1f} ms on one core")


def real(proposer: Proposer, path: Path) -> None:
    counts = {"with the rule": 0, "without": 0}
    for name, synthetic in (("with the rule", False), ("without", True)):
        proposer.forget()
        observer = SceneObserver()
        with open_source(str(path)) as source:
            frames = 0
            while frames < 3 * FRAMES and (frame := source.read()) is not None:
                scene = observer.observe(frame)
                scene = replace(scene, synthetic=scene.synthetic or synthetic, calipers=())
                counts[name] += proposer.consider(frame, scene) is not None
                frames += 1
    print(f"{path.name}: {frames} frames; proposed {counts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--localizer", type=Path, default=SHIPPED_LOCALIZER)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("files", type=Path, nargs="*")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with open_proposer(options.localizer) as proposer:
        if proposer is None:
            raise SystemExit("off")
        phantom(proposer, options.patients)
        for path in options.files:
            real(proposer, path)


if __name__ == "__main__":
    main()
