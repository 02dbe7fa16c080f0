"""What the documents promise is true of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from engines.consistency import contradictions
from engines.manifest import BundleManifest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_example_manifests_are_what_they_say() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "bundle-format.md").read_text(), re.DOTALL)
    whole, probability = (json.loads(block) for block in blocks)
    manifests = [BundleManifest.model_validate_json(json.dumps(raw)) for raw in (whole, {**whole, **probability})]
    assert [list(contradictions(manifest)) for manifest in manifests] == [[], []]
    assert [[head.kind for head in manifest.heads] for manifest in manifests] == [
        ["regression", "probability"],
        ["probability"],
    ]


def test_every_refusal_code_is_documented() -> None:
    from edge_app.live.refusals import REASONS

    page = (DOCS / "refusals.md").read_text()
    assert [code for code in REASONS if f"`{code}`" not in page] == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(page.name[:4]) for page in sorted((DOCS / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_test_and_script_that_a_page_names_is_there() -> None:
    for page in (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))):
        named = re.findall(r"tests/[a-z0-9_/]+\.py", page.read_text(encoding="utf-8"))
        assert [name for name in named if not (DOCS.parent / name).is_file()] == [], page.name
