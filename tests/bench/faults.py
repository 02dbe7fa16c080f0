"""How long it takes until the window says LOST, and until it is live again, for each way in which a source can fail.

Run: python tests/bench/faults.py [repeats]. The source is that of tests/live/faulty.py, in a real worker process;
"live again" is counted from the moment at which the source is mended, the pause of the back-off included; the last
column is the slowest poll of the window meanwhile.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from live import faulty
from live.test_live_faults import Bedside

from edge_app.live import supervisor, worker
from edge_app.live.capturing import STEADY_S
from edge_app.live.messages import Lost, Report

FAULTS = ("fail", "end", "stall", "crash", "block")


def measure(bedside: Bedside, fault: str) -> tuple[float, float]:
    """Return seconds to LOST and from mended to the next report."""
    steady_s = time.monotonic() + 2 * STEADY_S  # so that the back-off begins anew
    bedside.until(lambda: time.monotonic() > steady_s)
    broken_s = bedside.order(fault)
    lost_s = bedside.until(lambda: bedside.after(broken_s, Lost)) - broken_s
    if fault == "block":  # it is given up after a while: mended is the device, not the call
        pid = bedside.supervisor.status.pid
        bedside.until(lambda: bedside.supervisor.status.pid != pid)
    mended_s = bedside.order("640x480")
    live_s = bedside.until(lambda: bedside.supervisor.status.phase == "running" and bedside.after(mended_s, Report))
    bedside.heard.clear()
    return lost_s, live_s - mended_s


def main() -> None:
    """Measure and print."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    supervisor.RESTARTS_S = (0.0,) * 99
    worker.main = faulty.main
    print(
        f"{'fault':8} {'LOST after s: median':>22} {'worst':>7} {'live again: median':>20} {'worst':>7} {'poll ms':>8}"
    )
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            bedside = Bedside(Path(folder) / "order")
            bedside.order("640x480")
            bedside.supervisor.start()
            bedside.live()
            found = np.array([measure(bedside, fault) for _ in range(repeats if fault != "block" else 1)])
            bedside.supervisor.close()
        (lost, live), (latest, last) = np.median(found, axis=0), found.max(axis=0)
        poll_ms = 1000 * bedside.slowest_poll_s
        print(f"{fault:8} {lost:22.2f} {latest:7.2f} {live:20.2f} {last:7.2f} {poll_ms:8.0f}", flush=True)


if __name__ == "__main__":
    main()
