"""Printed: the lengths that the scanner's own result text states, in centimetres."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.scene import CaliperPair, PrintedLength, Scale

LENGTH = re.compile(
    r"""(?: (?<![\w.,]) | (?<=\d[A-Za-z]) | (?<=\d\s[A-Za-z]) | (?<=[xX×]) | (?<=[A-Za-z])(?=\d[.,]) )
    (?P<whole>\d{1,3}) (?: \s?[.,]\s?(?P<part>\d{1,2}) )? \s?(?P<unit>[cm]m) (?![\w²³/^])""",
    re.IGNORECASE | re.VERBOSE,
)
"""A number of its own with a unit: '10.43 cm', '9,76cm', '104 mm'; no area and no speed.

Glued to a letter only where that can be read in one way: '1 L10.43cm', 'x7.03 cm', 'A9.9cm', not 'D11.2cm'.
"""

NO_LENGTH = re.compile(r"depth|prof|tiefe|foc|fok|fov|zoom|scale|circ|peri|umf|area|vol|vel|dist[a-z]* to|skin", re.I)
"""Words beside numbers in centimetres that are no distance between two markers."""

LABEL = re.compile(r"[A-Za-z]{2,}|[+×xX*]|\d|[A-CE-Za-ce-z]\b")
"""What parts a result from the image's depth, which often stands alone or after a D: a word, a marker, a number."""

RANGE_CM = (0.1, 40.0)
DEPTH = re.compile(
    r"""^\W*(?:(?P<name>d|depth|dep|prof\w*|tiefe)\W*)?
    (?P<value>\d{1,3}(?:[.,]\d)?)\s*(?P<unit>[cm]m)?\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
"""'16cm', 'D 15.0', 'Depth: 140 mm', 'Profund. 14.0 cm'; a number needs a name or a unit."""
DEPTH_RANGE_CM = (2.0, 40.0)
SURE = 0.8  # what a reader says of a line that it read right; doubtful ones are not taken
WITHIN_SHARE, WITHIN_CM = 0.02, 0.2  # two lengths of one kidney agree
SAME_RATIO = 0.03


def parse_lengths(text: str, confidence: float = 1.0) -> tuple[PrintedLength, ...]:
    """Return the lengths that one line of result text states: '1 L 10.43 cm', '+ Rt Kidney 10.8 cm', 'Dist 104 mm'.

    A number without a unit is none, nor is one that may be read in two ways ('D11.2cm': D 11.2 or D1 1.2), nor one that
    may be the depth of the image: alone or after a D, with less than two decimals.
    """
    if NO_LENGTH.search(text):
        return ()
    found = []
    for match in LENGTH.finditer(text):
        value = float(f"{match['whole']}.{match['part'] or 0}")
        length_cm = value / 10 if match["unit"].lower() == "mm" else value
        labelled = LABEL.search(text[: match.start()]) is not None
        certain = labelled or len(match["part"] or "") == 2
        if certain and RANGE_CM[0] <= length_cm <= RANGE_CM[1]:
            found.append(PrintedLength(round(length_cm, 3), text.strip(), confidence))
    return tuple(found)


def results(lines: Iterable[TextLine]) -> tuple[PrintedLength, ...]:
    """Return the lengths that the lines of a screen state beyond doubt."""
    return tuple(
        length for line in lines if line.confidence >= SURE for length in parse_lengths(line.text, line.confidence)
    )


def stated_depths(lines: Iterable[TextLine]) -> frozenset[float]:
    """Return what the screen may say of the depth of its image, centimetres."""
    found = set()
    for line in lines:
        match = DEPTH.match(line.text)
        if match is None or line.confidence < SURE or not (match["name"] or match["unit"]):
            continue
        value = float(match["value"].replace(",", "."))
        depth_cm = value / 10 if (match["unit"] or "cm").lower() == "mm" else value
        if DEPTH_RANGE_CM[0] <= depth_cm <= DEPTH_RANGE_CM[1]:
            found.add(depth_cm)
    return frozenset(found)


def agree(one_cm: float, other_cm: float) -> bool:
    """Tell whether two lengths may be of one thing: within 2 mm or 2 %, whichever is more."""
    return abs(one_cm - other_cm) <= max(WITHIN_CM, WITHIN_SHARE * max(one_cm, other_cm)) + 1e-9


def length_of_longest(
    found: Sequence[PrintedLength], pairs: Sequence[CaliperPair], scale: Scale | None
) -> PrintedLength | None:
    """Return which of the printed lengths is that of the longest pair; None where that cannot be told.

    With a known scale it is the nearest, and where that is of no pair, the only one left: it then contradicts the
    scale. Without, one number to one pair, or two that stand in the same ratio as two pairs.
    """
    if not found or not pairs:
        return None
    ranked = sorted(found, key=lambda length: -length.length_cm)
    if scale is None:
        return _by_ratio(ranked, sorted((pair.length_px for pair in pairs), reverse=True))
    lengths_cm = [pair.length_px / scale.px_per_cm for pair in pairs]
    nearest = min(ranked, key=lambda length: abs(length.length_cm - lengths_cm[0]))
    if agree(nearest.length_cm, lengths_cm[0]):
        return nearest
    left = [length for length in ranked if not any(agree(length.length_cm, known) for known in lengths_cm[1:])]
    return left[0] if len({length.length_cm for length in left}) == 1 else None


def _by_ratio(ranked: Sequence[PrintedLength], lengths_px: Sequence[float]) -> PrintedLength | None:
    if len(lengths_px) == 1 or len(ranked) == 1:
        return ranked[0] if len(lengths_px) == len({length.length_cm for length in ranked}) == 1 else None
    of_pairs, of_text = lengths_px[0] / lengths_px[1], ranked[0].length_cm / ranked[1].length_cm
    return ranked[0] if abs(of_pairs / of_text - 1) <= SAME_RATIO else None
