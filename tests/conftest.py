"""What every test shares: the real data beside the checkout, and watchers for what a test leaves behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# What a developer imported or trusts is no part of a test.
os.environ["ECHOGFR_BUNDLES"] = os.environ["ECHOGFR_TRUST"] = os.path.join(os.devnull, "none")

import pytest

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The real clips, DICOM files and stills that lie beside a developer's checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real clips and stills (../shared/data) are not beside this checkout")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread of ours running."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon]
    for thread in left:
        thread.join(2.0)
    assert not [t.name for t in left if t.is_alive()]
