"""Newest: one value, the last one."""

from __future__ import annotations

import threading
import time

from edge_app.live.newest import Newest


def test_a_newer_value_replaces_one_that_nobody_took() -> None:
    slot: Newest[int] = Newest()
    slot.put(1)
    slot.put(2)
    assert slot.take(0.0) == 2
    assert slot.take(0.0) is None


def test_whoever_waits_is_woken_at_once() -> None:
    slot: Newest[int] = Newest()
    timer = threading.Timer(0.05, slot.put, (7,))
    timer.start()
    start = time.monotonic()
    assert slot.take(5.0) == 7
    assert time.monotonic() - start < 1.0
    timer.join()


def test_waiting_ends() -> None:
    start = time.monotonic()
    assert Newest[int]().take(0.05) is None
    assert 0.04 < time.monotonic() - start < 1.0
