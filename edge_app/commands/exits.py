"""Exit codes of ``echogfr``, beside 0 for done and 1 for a result that is not good."""

from __future__ import annotations

USAGE = 2  # what was asked for cannot be done
INTERRUPTED = 130  # as a shell says it of Ctrl-C
