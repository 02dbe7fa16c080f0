"""Defects: all that is wrong with what a hospital gives, collected and said in one sentence."""

from __future__ import annotations

from engines.errors import UsageError

NAMED = 5  # places of one kind that are named before "and N more"


class Defects:
    """Collects defects by kind, in the order in which the kinds were met."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[str]] = {}
        self._whole: list[str] = []

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._kinds or self._whole)

    def whole(self, text: str) -> None:
        """Add a defect of the whole."""
        self._whole.append(text)

    def add(self, kind: str, where: str) -> None:
        """Add one place, ``"line 4"``, at which something of this kind is wrong."""
        self._kinds.setdefault(kind, []).append(where)

    def refuse(self, what: str, cure: str) -> None:
        """Say all of them, if there are any; ``what`` and ``cure`` as in ``engines.errors``.

        Raises
        ------
        UsageError
            There is at least one defect.
        """
        texts = self._whole + [f"{kind} ({_some(places)})" for kind, places in self._kinds.items()]
        if texts:
            raise UsageError(what, "; ".join(texts), cure)


def _some(places: list[str]) -> str:
    rest = len(places) - NAMED
    return ", ".join(places[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
