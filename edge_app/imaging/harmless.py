"""Harmless: which words in a picture cannot tell who the patient is. All others are taken for identity."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from edge_app.imaging._ocr import TextLine

UNITS = "mm cm cms cm2 cm3 mm2 ml cc m s ms sec min hz khz mhz db fps bpm cmh kpa deg w mw"
MEASURES = (
    "dist distance length len width wid height depth vol volume area circ diam diameter ap trans tr long lon lng sag "
    "sagittal transverse axial coronal lat lateral med medial ant anterior post posterior sup superior inf inferior "
    "ratio angle calc caliper result results mean max min avg est ri pi psv edv ed ps"
)
ORGANS = (
    "rt lt right left kidney kidneys kid renal rk lk ren native transplant graft upper lower mid middle pole cortex "
    "cortical medulla pelvis sinus parenchyma thickness liver spleen bladder ureter aorta ivc gallbladder hilum cyst "
    "stone resistive cist index"
)
SETTINGS = (
    "mi ti tis tib tic gain gn frq freq fr dr map ao chi thi res gen pen hgen low high med focus foc zoom persist "
    "pers power color colour cf pw cw cfm prf wf filter freeze frozen live cine frame preset abd abdomen abdominal "
    "adult general depth scale bmode mode harm tgc xres cross beam"
)
OTHERS = (
    "niere nieren rechts links re li quer langs breite lange dicke abstand leber milz rein reins droit gauche longueur "
    "largeur epaisseur foie rate rinon rinones derecho derecha izquierdo izquierda longitud ancho rene reni destro "
    "sinistro lunghezza larghezza rim rins direito esquerdo comprimento largura nier nieren"
)
MARKS = "synthetic phantom picture lost stopped no yet"  # our own
WORDS = frozenset(" ".join((UNITS, MEASURES, ORGANS, SETTINGS, OTHERS, MARKS)).split())
"""What scanners write over an image that names no person: units, measures, organs and sides, settings."""

GLUED = 3  # letters: a reader drops spaces; shorter words would make any name of two of them
SIDES = ("rt", "lt")  # but for these
TIME_OR_DATE = re.compile(r"\d\s*[:/\\]\s*\d\d|\d{1,4}\s*[./-]\s*\d{1,2}\s*[./-]\s*\d{1,4}|\d{4}-\d|\b(?:19|20)\d\d\b")
PERSON = re.compile(r"[^\W\d_]{2,}\s*[,^]\s*[^\W\d_]|\^|@")
"""As names are written: 'SURNAME, FIRST', 'SURNAME^FIRST'; and what stands in an address."""

PARTS = re.compile(r"\d+(?:\s?[.,]\s?\d+)?|[^\W\d_]+")
MARKER = re.compile(r"[xX×+]+")
MOST_DIGITS, MOST_WHOLE, MOST_PART, MOST_LETTERS = 12, 3, 3, 3
TALL, NARROW = 0.1, 0.35  # of the picture's height; width of a letter by its height
HUGE, FEW = 0.2, 3  # of the picture's height; characters
FEWEST = 2  # letters and digits: one alone is a marker, an orientation sign or speckle


def suspicious(lines: Iterable[TextLine], shape: tuple[int, ...]) -> tuple[TextLine, ...]:
    """Return the lines of a picture of ``shape`` (H, W, ...) that may tell who the patient is.

    What was read with little confidence counts too: the letters of a script that the reader does not know are letters.
    """
    return tuple(line for line in lines if not is_harmless(line.text) and not _speckle(line, shape))


@lru_cache(maxsize=1024)
def is_harmless(text: str) -> bool:
    """Tell whether words cannot tell who the patient is: 'Rt Kidney 10.4 cm', 'D1', '+'; no names, dates, numbers."""
    characters = [character for character in text if character.isalnum()]
    if len(characters) < FEWEST:
        return True
    if TIME_OR_DATE.search(text) or PERSON.search(text):
        return False
    parts = PARTS.findall(text)
    if sum(character.isdigit() for character in characters) > MOST_DIGITS:
        return False
    if sum(len(part) == 1 and part.isalpha() and not MARKER.fullmatch(part) for part in parts) > MOST_LETTERS:
        return False
    return all(_harmless_number(part) if part[0].isdecimal() else _harmless_word(part.lower()) for part in parts)


def _harmless_number(part: str) -> bool:
    whole, _, fraction = part.replace(",", ".").replace(" ", "").partition(".")
    return len(whole) <= MOST_WHOLE and len(fraction) <= MOST_PART


@lru_cache(maxsize=1024)
def _harmless_word(word: str) -> bool:
    """Tell whether a word is known, is a single ASCII letter or markers, or is known words without their spaces."""
    if word in WORDS or (len(word) == 1 and word.isascii()) or MARKER.fullmatch(word):
        return True
    return any(
        word[:end] in WORDS and _harmless_word(word[end:])
        for end in range(2, len(word) - 1)
        if _long_enough(word[:end]) and (_long_enough(word[end:]) or word[end:] in UNITS.split())
    )


def _long_enough(part: str) -> bool:
    return len(part) >= GLUED or part in SIDES


def _speckle(line: TextLine, shape: tuple[int, ...]) -> bool:
    """Tell whether a line is too tall for its few characters, as where a whole texture is taken for letters."""
    x0, y0, x1, y1 = line.box
    height, count = (y1 - y0) / shape[0], len(line.text.strip())
    if height > HUGE and count <= FEW:  # two vessels and a shadow
        return True
    return height > TALL and x1 - x0 < NARROW * (y1 - y0) * count
