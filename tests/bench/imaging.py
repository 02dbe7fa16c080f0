"""Judges the observer on a folder of pictures with a MANIFEST.csv, or on phantom streams.

Run: ``python tests/bench/imaging.py DIR [--out SHEETS] [--worst N] [--csv FILE] [--frames N]``: caliper recall and
precision at 3 px (of a 512 px picture), length error, false finds, sector overlap where the truth is known, time per
frame by stage (CPU time of one core), and contact sheets. ``--truth``: sheets of the truth alone, nothing is searched.
``--streams [SEEDS FRAMES]``, or no folder: phantom streams. ``--stages [FRAMES]``: what each stage from a frame to the
gate's answer takes in streams of 1920x1080, against what is asked.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import dist
from pathlib import Path
from time import thread_time

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.capture.open import open_source
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.scene import Scene
from tests.bench.clock import cpu_time
from tests.bench.sheets import Entry, draw_tile, write_sheets
from tests.bench.stages import main as stages
from tests.bench.streams import main as streams
from tests.imaging.judge import Ends, Known, Verdict, judge, overlap, read_manifest, read_mask, share_inside, tolerance

CLIPS = {".mp4": "file:", ".dcm": "dicom:"}
GROUPS = ("case", "look", "background", "level", "damage", "kind")


@dataclass(frozen=True)
class Result:
    """How one picture or clip went. ``overlap`` NaN: the truth is not known."""

    known: Known
    size: tuple[int, int]
    verdict: Verdict
    overlap: float
    inside: float
    ms: list[float]
    stages: dict[str, list[float]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()  # for each end that was missed: why, as the observer says

    @property
    def badness(self) -> tuple[int, int, float]:
        """Sorts the worst first: wrong finds, then misses, then errors."""
        missed = self.verdict.wanted - self.verdict.hits
        return -self.verdict.false, -missed, -float(np.nan_to_num(self.verdict.error_px))

    @property
    def words(self) -> str:
        """The line under the tile."""
        v = self.verdict
        said = f"{Path(self.known.file).name} {v.hits}/{v.wanted}" + (f" FALSE {v.false}" if v.false else "")
        look = " ".join(filter(None, (self.known.tag(n) for n in ("look", "background", "damages"))))
        return f"{said} {self.known.tag('case')} {look}"[:84]


def main() -> None:
    """Judge, print, and write sheets."""
    given = _options()
    cv2.setNumThreads(1)
    if given.stages is not None:
        stages(given.stages, given.folder)
        return
    if given.streams is not None or given.folder is None:
        streams(*(given.streams or ()))
        return
    rows = [row for row in read_manifest(given.folder) if row.pairs is not None]
    if given.truth:
        entries = [_truth_entry(given.folder, row) for row in rows]
        print(*write_sheets(given.out or Path("out/sheets"), entries), sep="\n")
        return
    judged = [_progress(n, len(rows), *watch(given.folder, row, given.frames)) for n, row in enumerate(rows, 1)]
    results = [result for result, _ in judged]
    report(results)
    if given.csv:
        write_csv(given.csv, results)
    judged.sort(key=lambda pair: pair[0].badness)
    chosen = judged[: given.worst] if given.worst else judged
    if given.out:
        bad = [Entry(tile, r.words, bool(r.verdict.false) or r.verdict.hits < r.verdict.wanted) for r, tile in chosen]
        print(*write_sheets(given.out, bad), sep="\n")
    elif given.worst:
        print(*(result.words for result, _ in chosen), sep="\n")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path, nargs="?")
    options.add_argument("--out", type=Path, help="folder for the contact sheets")
    options.add_argument("--worst", type=int, default=0, help="only the worst N on the sheets")
    options.add_argument("--csv", type=Path, help="one row a picture")
    options.add_argument("--frames", type=int, default=40, help="of a clip")
    options.add_argument("--truth", action="store_true", help="sheets of the truth alone")
    options.add_argument("--streams", type=int, nargs="*", help="phantom streams: SEEDS FRAMES")
    options.add_argument("--stages", type=int, nargs="?", const=150, help="time each stage: FRAMES a stream")
    return options.parse_args()


def _progress(n: int, of: int, result: Result, tile: NDArray[np.uint8]) -> tuple[Result, NDArray[np.uint8]]:
    print(f"\r{n}/{of}", end="" if n < of else "\n", file=sys.stderr, flush=True)
    return result, tile


def _truth_entry(folder: Path, known: Known) -> Entry:
    (frame, *_), _still = frames_of(folder / known.file, 1)
    return Entry(draw_tile(frame.pixels, known.pairs or (), None), f"{known.file} {known.tag('decoys')}"[:84], False)


def frames_of(path: Path, count: int) -> tuple[list[Frame], bool]:
    """Return up to ``count`` frames of a picture, clip or DICOM file, and whether it is a still."""
    scheme = CLIPS.get(path.suffix)
    if scheme is None:
        picture = cv2.imread(str(path))
        if picture is None:
            raise FileNotFoundError(path)
        pixels = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        pixels.setflags(write=False)
        return [Frame(0, 0.0, pixels)], True
    with open_source(f"{scheme}{path}", realtime=False) as source:
        frames = list(islice(iter(source.read, None), count))
    return frames, len(frames) == 1


def watch(folder: Path, known: Known, count: int) -> tuple[Result, NDArray[np.uint8]]:
    """Observe one picture or clip: the last scene is judged; any pair on any frame is false where there is none."""
    frames, still = frames_of(folder / known.file, count)
    observer, ms, stages = SceneObserver(still=still), [], defaultdict(list)
    false, scene = 0, None
    for frame in frames:
        start = thread_time()
        with cpu_time():
            scene = observer.observe(frame)
        ms.append((thread_time() - start) * 1e3)
        for stage, took in observer.timings_ms.items():
            stages[stage].append(took)
        false = max(false, len(scene.calipers))
    if scene is None:
        raise ValueError(f"{known.file} holds no frame")
    pairs = known.pairs or ()
    verdict = judge(scene.calipers, pairs, scene.size)
    if not pairs and false:
        verdict = Verdict(None, None, 0, 0, false)
    seen, inside = _sector(folder, known, scene, frames[-1], still)
    result = Result(known, scene.size, verdict, seen, inside, ms, dict(stages), tuple(_reasons(pairs, scene, seen)))
    return result, draw_tile(frames[-1].pixels, pairs, scene)


def _reasons(pairs: Sequence[Ends], scene: Scene, seen: float) -> Iterable[str]:
    """Say of each true end that no found pair has why it is missing."""
    near = tolerance(scene.size)
    found = [end for pair in scene.calipers for end in (pair.first, pair.second)]
    for end in (end for ends in pairs for end in ends):
        if any(dist(end, other) <= near for other in found):
            continue
        refused = [mark for mark in scene.refused if dist(mark.centre, end) <= near]
        if refused:
            yield f"refused: {min(refused, key=lambda mark: dist(mark.centre, end)).reason}"
        elif scene.sector is None:
            yield "no sector"
        else:
            yield "never a candidate, sector wrong" if seen < 0.9 else "never a candidate"


def _sector(folder: Path, known: Known, scene: Scene, frame: Frame, still: bool) -> tuple[float, float]:
    """Return the overlap with a known mask, and the share in the file's own region as if it had not told."""
    if known.sector:
        return overlap(scene, read_mask(folder / known.sector)), float("nan")
    told = [region for region in frame.regions if region.px_per_cm is not None]
    if not told:
        return float("nan"), float("nan")
    blind = SceneObserver(still=still).observe(Frame(0, 0.0, frame.pixels))
    return float("nan"), share_inside(blind.sector, told[0].bbox)


def report(results: Sequence[Result]) -> None:
    """Print totals, then a table of each group."""
    print(_line("all", results))
    for group in GROUPS:
        if any(result.known.tag(group) for result in results):
            print(f"\nby {group}")
            for name, some in sorted(_grouped(results, lambda r, g=group: [r.known.tag(g)]).items()):  # type: ignore[misc]
                print(_line(name, some))
    if any(result.known.tag("decoys") for result in results):
        print("\nby decoy on the screen")
        for name, some in sorted(_grouped(results, lambda r: r.known.tag("decoys").split()).items()):
            print(_line(name, some))
        print("\nby span of a marker")
        for name, some in sorted(_grouped(results, _span).items()):
            print(_line(name, some))
    for result in results:
        if not np.isnan(result.inside):
            print(
                f"{result.known.file}: {result.inside:.3f} of the sector found without the file's word is in its region"
            )
    counts = Counter(reason for result in results for reason in result.reasons)
    if counts:
        print("\nwhy true ends are missing")
        for reason, count in counts.most_common(20):
            print(f"{count:6d}  {reason}")
    _report_times("all sizes", results)
    _report_times("1920 wide", [result for result in results if result.size[0] >= 1900])


def _span(result: Result) -> list[str]:
    span = float(result.known.tag("span") or "nan")
    return [next((f"< {edge:2d} px" for edge in (8, 10, 12, 16, 20, 30) if span < edge), ">= 30 px")]


def _grouped(results: Iterable[Result], names: Callable[[Result], list[str]]) -> dict[str, list[Result]]:
    out: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        for name in names(result):
            out[name or "-"].append(result)
    return out


def _line(name: str, results: Sequence[Result]) -> str:
    with_pair = [r.verdict for r in results if r.verdict.kidney is not None]
    without = [r.verdict for r in results if r.verdict.kidney is None]
    kidney, first = sum(bool(v.kidney) for v in with_pair), sum(bool(v.first) for v in with_pair)
    hits, wanted = sum(v.hits for v in with_pair), sum(v.wanted for v in with_pair)
    found = hits + sum(v.false for v in (*with_pair, *without))
    errors = [v.error_px for v in with_pair if v.kidney]
    parts = [f"{name:16s}"]
    if with_pair:
        parts.append(f"kidney {kidney}/{len(with_pair)} = {kidney / len(with_pair):.3f} (first {first})")
        parts.append(f"pairs {hits}/{wanted} = {hits / wanted:.3f}")
    parts.append(f"precision {hits}/{found}" + (f" = {hits / found:.3f}" if found else ""))
    if without:
        wrong = sum(v.false > 0 for v in without)
        parts.append(f"false {wrong}/{len(without)} = {wrong / len(without):.3f}")
    if errors:
        percents = [v.length_percent for v in with_pair if v.kidney]
        parts.append(f"error {np.median(errors):.2f}/{np.percentile(errors, 95):.2f} px, {np.median(percents):.2f} %")
    overlaps = [r.overlap for r in results if not np.isnan(r.overlap)]
    if overlaps:
        low, good = np.percentile(overlaps, 10), np.mean(np.array(overlaps) >= 0.9)
        parts.append(f"sector {np.median(overlaps):.2f}, p10 {low:.2f}, >=0.9 {good:.2f}")
    return "  ".join(parts)


def _report_times(name: str, results: Sequence[Result]) -> None:
    stages: dict[str, list[float]] = defaultdict(list)
    for result in results:
        stages["all"] += result.ms
        for stage, took in result.stages.items():
            stages[stage] += took
    if stages:
        print(f"\nCPU ms a frame, {name}, p50/p95/max, {len(stages['all'])} frames")
    for stage, took in stages.items():
        print(f"{stage:16s}{np.median(took):8.1f} {np.percentile(took, 95):8.1f} {max(took):8.1f}")


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Write one row a picture."""
    names = (
        "file",
        *GROUPS,
        "damages",
        "decoys",
        "span",
        "hits",
        "wanted",
        "false",
        "error_px",
        "length_percent",
        "overlap",
        "ms",
        "reasons",
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(names)
        for r in sorted(results, key=lambda result: result.badness):
            v = r.verdict
            tags = [r.known.tag(name) for name in names[: names.index("hits")]]
            numbers = [f"{x:.3f}" for x in (v.error_px, v.length_percent, r.overlap, float(np.median(r.ms)))]
            table.writerow([*tags, v.hits, v.wanted, v.false, *numbers, "; ".join(r.reasons)])


if __name__ == "__main__":
    main()
