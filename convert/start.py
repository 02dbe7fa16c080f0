"""Where ``echogfr-convert`` begins: Ctrl-C is seen to before anything that takes time is imported."""

from __future__ import annotations

from collections.abc import Callable

from engines.interrupts import enter


def main() -> None:
    """Run the command line."""
    enter(_load)


def _load() -> Callable[[], None]:
    from convert import cli
    from engines.addon import activate

    activate()  # before anything looks for TensorRT
    return cli.main
