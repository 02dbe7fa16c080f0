"""Where ``echogfr`` begins: Ctrl-C is seen to before anything that takes time is imported."""

from __future__ import annotations

from collections.abc import Callable

from engines.interrupts import enter


def main() -> None:
    """Run the command line."""
    enter(_load)


def _load() -> Callable[[], None]:
    from edge_app import cli
    from engines.addon import activate

    activate()  # before anything looks for runtimes
    return cli.main
