"""The number page: the main head huge, with all that it may not be read without; the other heads as lines below."""

from __future__ import annotations

from edge_app.ui import theme
from edge_app.ui._qt import QFontMetricsF, QHBoxLayout, QResizeEvent, Qt, QVBoxLayout, QWidget
from edge_app.ui.bars import GradeBars
from edge_app.ui.other_heads import FEW, OtherHeads
from edge_app.ui.panel import Number
from edge_app.ui.ramp import CategoryRamp
from edge_app.ui.text import Line, Named
from edge_app.ui.wording import CATEGORY_RANGE
from edge_app.ui.words import Words

HUGE, MODEST = 6.0, 4.0  # text units: a value, and one that steps back: '>=60', or out of domain
ROOM = 1.035  # of a headline's size; the font's own line is a third empty
WIDEST = 0.6  # of the page: a headline that is wider gets smaller, so that unit or event stay beside it
LONG, LONGER = 24, 40  # characters from which words beside a headline are set smaller
SHORT = 8  # characters of a unit that is set large
SIGN = 2.2  # text units
ASCENT, DESCENT = 0.928, 0.236  # of the font, in its size: they put the sign on the line of the headline


class NumberPage(QWidget):
    """Title, value, unit, interval, category range or bars, the other heads, kidney length, basis."""

    def __init__(self) -> None:
        super().__init__()
        self.title = Named(0.95, theme.TEXT)
        self.headline = Line(HUGE, theme.STRONG, bold=True)
        self._figure = QWidget()
        self.sign = Line(SIGN, theme.STRONG, bold=True)
        self.stale = Line(1.15, theme.STRONG, bold=True)
        self.beside = Line(0.95, theme.TEXT)
        self.unit = Line(0.72, theme.QUIET)
        self.bars = GradeBars()
        self.interval = Line(1.35, theme.STRONG, bold=True)
        self.categories = Line(0.95, theme.TEXT)
        self.ramp = CategoryRamp()
        self.others = OtherHeads()
        self.length = Line(0.85, theme.TEXT, wrap=True)
        self.basis = Line(0.72, theme.QUIET)
        self._unit_px, self._size, self._room = 16.0, HUGE, HUGE
        self._number: Number | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        beside = QVBoxLayout()
        beside.setSpacing(0)
        beside.addStretch(2)
        for line in (self.stale, self.beside, self.unit):
            beside.addWidget(line)
        beside.addStretch(1)
        figure = QHBoxLayout(self._figure)
        figure.setContentsMargins(0, 0, 0, 0)
        figure.addWidget(self.headline)
        figure.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignBottom)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self._figure)
        top.addLayout(beside, 1)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.title)
        column.addLayout(top)
        below = (self.bars, self.interval, self.categories, self.ramp, self.others, self.length, self.basis)
        for widget in below:
            column.addWidget(widget)
        column.addStretch(1)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        lines = (self.title, self.headline, self.sign, self.stale, self.beside, self.unit, self.interval)
        for line in (*lines, self.categories, self.others, self.length, self.basis):
            line.scale(unit_px)
        self._unit_px = unit_px
        self._fit_headline()
        self._column.setSpacing(round(0.12 * unit_px))
        self.ramp.setFixedHeight(round(1.45 * unit_px))
        self.bars.scale(unit_px)

    def _give_room(self) -> None:
        self.headline.setFixedHeight(round(ROOM * self._room * self._unit_px))
        self._figure.setFixedHeight(self.headline.height())
        below = ROOM * self._room / 2 - (ASCENT - DESCENT) / 2 * self._size - DESCENT * SIGN
        self.sign.setContentsMargins(0, 0, 0, max(0, round(below * self._unit_px)))

    def show_number(self, number: Number) -> None:
        """Show a number; a stale one is greyed and says so, one out of domain is doubted in its very figure."""
        main, stale = number.main, bool(number.stale)
        self.title.tell(main.title)
        self._show_top(number)
        self.bars.show_grades(main.bars, stale)
        self.interval.say(main.detail)
        self.interval.resize_to(1.35 if main.calibrated else 0.95)
        self.categories.say(f"{CATEGORY_RANGE} {main.categories}" if main.categories else "")
        self.ramp.setVisible(main.ramp is not None)
        if main.ramp is not None:
            self.ramp.show_range(main.ramp.names, main.ramp.inside, stale)
        self.others.show_heads(number.others, stale)
        self.length.say(number.length)
        self._ink(number)
        self.basis.say(number.basis)

    def _show_top(self, number: Number) -> None:
        main, self._number = number.main, number
        self.headline.say(number.headline)
        self.sign.say(main.sign)
        self._fit_headline()
        self.stale.say(number.stale)
        self.beside.say(main.beside)
        self.beside.resize_to(_beside_size(main))
        self.unit.say(main.unit)
        self.unit.resize_to(1.35 if len(main.unit) <= SHORT else 0.72)
        for line in (self.beside, self.unit):
            line.setWordWrap(bool(main.title or main.sign))  # an eGFR's own words fit

    def _fit_headline(self) -> None:
        """Choose the size of the headline; what is crowded, or under a mark, needs the room below it."""
        number = self._number
        if number is not None:
            crowded = bool(number.main.bars) or len(number.others) > FEW or not number.in_domain
            size = self._fitting(number.headline, MODEST if number.main.modest or crowded else HUGE)
            self.headline.resize_to(size)
            self._size, self._room = size, size if crowded or size not in (HUGE, MODEST) else HUGE
        self._give_room()

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Fit the headline to the new width."""
        super().resizeEvent(a0)
        self._fit_headline()

    def _fitting(self, text: str, size: float) -> float:
        """Return the size, text units, at which a headline leaves room beside it."""
        advance = QFontMetricsF(theme.font(size * self._unit_px, bold=True)).horizontalAdvance(text)
        return min(size, size * WIDEST * self.width() / advance) if advance > 0 and self.width() > 0 else size

    def _ink(self, number: Number) -> None:
        stale = bool(number.stale)
        strong = theme.GREYED if stale else theme.STRONG if number.in_domain else theme.LOST
        for line in (self.headline, self.sign):
            line.ink(strong)
        plain = theme.GREYED if stale else theme.TEXT
        self.interval.ink(strong if number.main.calibrated else plain)
        for line in (self.title, self.beside, self.categories, self.length):
            line.ink(plain)


def _beside_size(main: Words) -> float:
    """Return how large the words beside a headline are, text units."""
    if len(main.beside) > LONGER:
        return 0.72
    return 0.95 if not main.sign or len(main.beside) > LONG else 1.35
