"""Whether a data set says of itself that its pictures were simulated."""

from __future__ import annotations

import json
from pathlib import Path


def says_synthetic(folder: Path) -> bool:
    """Tell whether a ``dataset.json`` in the folder calls the data synthetic, as the phantom's does."""
    try:
        found = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("synthetic") is True
