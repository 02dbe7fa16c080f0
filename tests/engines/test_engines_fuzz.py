"""A few hundred mutated files of each kind; ``tests/bench/fuzz.py`` runs as many as are wanted."""

from __future__ import annotations

import os

import pytest

from .bundle_makers import BundlePlan, write_bundle
from .fuzz_targets import Ground

CASES = 100

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and alarms are of Unix")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("fuzz") / "ground"
    folder.mkdir()
    return Ground(folder, write_bundle(folder / "bundle", BundlePlan()))


@pytest.mark.parametrize("kind", ["manifest", "bundle", "signature", "key", "archive", "slots", "npz", "engine"])
def test_mutated_files_end_in_one_sentence_and_leave_nothing(ground: Ground, kind: str) -> None:
    tally = ground.run(kind, CASES, seed=1)
    assert tally.ends.total() == CASES
    assert tally.ends["refused"] > CASES // 4, tally.ends


def test_every_kind_is_tested(ground: Ground) -> None:
    assert list(ground.kinds) == ["manifest", "bundle", "signature", "key", "archive", "slots", "npz", "engine"]
