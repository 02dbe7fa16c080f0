"""Printed: the lengths that the scanner's own result text states, in centimetres."""

from __future__ import annotations

import re

from edge_app.imaging.scene import PrintedLength

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
