"""The readout: one huge number with all that it may not be read without, or the reason why there is none."""

from __future__ import annotations

from edge_app.ui import theme, wording
from edge_app.ui._qt import QFrame, QHBoxLayout, QSizePolicy, Qt, QVBoxLayout, QWidget
from edge_app.ui.mark_strip import MarkStrip
from edge_app.ui.panel import Number, Panel
from edge_app.ui.ramp import CategoryRamp
from edge_app.ui.text import Fitting, Line

HUGE, MODEST = 6.0, 4.0  # text units: a value, and one that steps back: '>=60', or out of domain
ROOM = 1.035  # of a headline's size; the font's own line is a third empty


class NumberPage(QWidget):
    """Value, unit, interval, category range, probability, kidney length, basis."""

    def __init__(self) -> None:
        super().__init__()
        self.headline = Line(HUGE, theme.STRONG, bold=True)
        self.stale = Line(1.15, theme.STRONG, bold=True)
        self.beside = Line(0.95, theme.TEXT)
        self.unit = Line(0.72, theme.QUIET)
        self.interval = Line(1.35, theme.STRONG, bold=True)
        self.categories = Line(0.95, theme.TEXT)
        self.ramp = CategoryRamp()
        self.probability = Line(1.1, theme.TEXT)
        self.length = Line(0.85, theme.TEXT)
        self.basis = Line(0.72, theme.QUIET)
        self.unit.setText(wording.UNIT)
        self._unit_px, self._room = 16.0, HUGE
        self._lay_out()

    def _lay_out(self) -> None:
        beside = QVBoxLayout()
        beside.setSpacing(0)
        beside.addStretch(2)
        for line in (self.stale, self.beside, self.unit):
            beside.addWidget(line)
        beside.addStretch(1)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self.headline)
        top.addLayout(beside, 1)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        for widget in (self.interval, self.categories, self.ramp, self.probability, self.length, self.basis):
            column.addWidget(widget)
        column.addStretch(1)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        lines = (self.headline, self.stale, self.beside, self.unit, self.interval)
        for line in (*lines, self.categories, self.probability, self.length, self.basis):
            line.scale(unit_px)
        self._unit_px = unit_px
        self._give_room()
        self._column.setSpacing(round(0.12 * unit_px))
        self.ramp.setFixedHeight(round(1.45 * unit_px))

    def _give_room(self) -> None:
        self.headline.setFixedHeight(round(ROOM * self._room * self._unit_px))

    def show_number(self, number: Number) -> None:
        """Show a number; a stale one is greyed and says so, one out of domain is doubted in its very figure."""
        stale = bool(number.stale)
        strong = theme.STRONG if number.in_domain else theme.LOST
        self.headline.say(number.headline if number.in_domain else f"{number.headline}?")
        self.headline.resize_to(MODEST if number.beside or not number.in_domain else HUGE)
        self._room = HUGE if number.in_domain else MODEST  # the mark above needs what is left
        self._give_room()
        self.headline.ink(theme.GREYED if stale else strong)
        self.stale.say(number.stale)
        self.beside.say(number.beside)
        self.interval.say(number.interval)
        self.interval.ink(theme.GREYED if stale else strong)
        self.categories.say(f"Category range {wording.categories(number.categories)}")
        self.ramp.show_range(number.categories, stale)
        self.probability.say(number.probability)
        self.length.say(number.length)
        for line in (self.beside, self.categories, self.probability, self.length):
            line.ink(theme.GREYED if stale else theme.TEXT)
        self.basis.say(number.basis)


class NoticePage(QWidget):
    """What stands in place of a number, large: the reason and what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.title = Line(1.7, theme.STRONG, bold=True)
        self.text = Line(1.3, theme.TEXT, wrap=True)
        self.last = Line(0.85, theme.QUIET, wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.title)
        column.addWidget(self.text)
        column.addWidget(self.last)
        column.addStretch(1)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        for line in (self.title, self.text, self.last):
            line.scale(unit_px)

    def show_notice(self, panel: Panel) -> None:
        """Show the notice of a panel."""
        self.title.say(panel.notice_title)
        self.title.ink(theme.LOST if panel.badge in ("LOST", "FAILED") else theme.STRONG)
        self.text.say(panel.notice)
        self.last.say(former(panel))


def former(panel: Panel) -> str:
    """Return the sentence about the former number of a panel, or nothing."""
    return f"{'STALE value' if panel.stale else 'Value before'}: {panel.last}, {panel.age} old" if panel.last else ""


class ReadoutPanel(QFrame):
    """Shows a Panel; holds no state of its own beyond it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("surface")
        self.synthetic = MarkStrip(theme.AMBER, theme.AMBER_GROUND)
        self.outside = MarkStrip(theme.LOST, theme.LOST_GROUND)
        self.number = NumberPage()
        self.notice = NoticePage()
        self.cautions = Line(0.85, theme.STRONG, bold=True, wrap=True)
        self.purpose = Line(0.72, theme.TEXT, wrap=True)
        self.limits = Fitting(0.64, "All limits: F1.")
        self.purpose.setText(f"{wording.PURPOSE} {wording.CAUTION}")
        self.number.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        self.limits.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(4)
        column.addWidget(self.synthetic)
        column.addWidget(self.outside)
        # no QStackedWidget: it gives wrapped text the height of one line
        column.addWidget(self.number)
        column.addWidget(self.notice)
        column.addWidget(self.cautions)
        column.addWidget(self.limits, 1)
        column.addWidget(self.purpose)
        self.cautions.setAlignment(Qt.AlignmentFlag.AlignTop)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        for part in (self.synthetic, self.outside, self.number, self.notice, self.cautions, self.purpose, self.limits):
            part.scale(unit_px)

    def show_panel(self, panel: Panel) -> None:
        """Show this panel; calling it again with the same costs nothing."""
        self.synthetic.say(panel.synthetic or "")
        doubted = panel.number is not None and not panel.number.in_domain
        self.outside.say(wording.OUT_OF_DOMAIN if doubted else "")
        if panel.number is not None:
            self.number.show_number(panel.number)
        else:
            self.notice.show_notice(panel)
        self.notice.setVisible(panel.number is None)
        self.number.setVisible(panel.number is not None)
        self.cautions.say("\n".join(f"! {text}" for text in panel.cautions))

    def show_limits(self, limits: tuple[str, ...]) -> None:
        """Show the model's own limits at the point of use."""
        self.limits.say(limits)

    @property
    def number_is_shown(self) -> bool:
        """Whether a number is on screen."""
        return not self.number.isHidden()
