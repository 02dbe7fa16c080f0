"""The readout: one huge number with all that it may not be read without, or the reason why there is none."""

from __future__ import annotations

from edge_app.ui import theme, wording
from edge_app.ui._qt import QFrame, QHBoxLayout, QSizePolicy, Qt, QVBoxLayout, QWidget
from edge_app.ui.panel import Number, Panel
from edge_app.ui.ramp import CategoryRamp
from edge_app.ui.synthetic_strip import SyntheticStrip
from edge_app.ui.text import Fitting, Line

HUGE, MODEST = 6.0, 4.0  # text units: a value, and the '>=60' that steps back


class NumberPage(QWidget):
    """Value, unit, interval, category range, probability, basis."""

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
        self.basis = Line(0.72, theme.QUIET)
        self.unit.setText(wording.UNIT)
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
        for widget in (self.interval, self.categories, self.ramp, self.probability, self.basis):
            column.addWidget(widget)
        column.addStretch(1)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        lines = (self.headline, self.stale, self.beside, self.unit, self.interval)
        for line in (*lines, self.categories, self.probability, self.basis):
            line.scale(unit_px)
        self.headline.setFixedHeight(round(6.2 * unit_px))  # the font's own line is a third empty
        self._column.setSpacing(round(0.2 * unit_px))
        self.ramp.setFixedHeight(round(1.45 * unit_px))

    def show_number(self, number: Number) -> None:
        """Show a number; a stale one is greyed and says so."""
        stale = bool(number.stale)
        self.headline.say(number.headline)
        self.headline.resize_to(MODEST if number.beside else HUGE)
        self.headline.ink(theme.GREYED if stale else theme.STRONG)
        self.stale.say(number.stale)
        self.beside.say(number.beside)
        self.interval.say(number.interval)
        self.interval.ink(theme.GREYED if stale else theme.STRONG)
        self.categories.say(f"Category range {wording.categories(number.categories)}")
        self.ramp.show_range(number.categories, stale)
        self.probability.say(number.probability)
        for line in (self.beside, self.categories, self.probability):
            line.ink(theme.GREYED if stale else theme.TEXT)
        self.basis.say(number.basis)


class NoticePage(QWidget):
    """What stands in place of a number, large: the reason and what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.title = Line(1.7, theme.STRONG, bold=True)
        self.text = Line(1.3, theme.TEXT, wrap=True)
        self.last = Line(0.72, theme.GREYED, wrap=True)
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
        self.last.say(panel.last)


class ReadoutPanel(QFrame):
    """Shows a Panel; holds no state of its own beyond it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("surface")
        self.synthetic = SyntheticStrip()
        self.number = NumberPage()
        self.notice = NoticePage()
        self.cautions = Line(0.95, theme.STRONG, bold=True, wrap=True)
        self.purpose = Line(0.72, theme.TEXT, wrap=True)
        self.limits = Fitting(0.64, "All limits: F1.")
        self.purpose.setText(f"{wording.PURPOSE} {wording.CAUTION}")
        self.number.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        self.limits.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 10)
        column.setSpacing(6)
        column.addWidget(self.synthetic)
        # no QStackedWidget: it gives wrapped text the height of one line
        column.addWidget(self.number)
        column.addWidget(self.notice)
        column.addWidget(self.cautions)
        column.addWidget(self.limits, 1)
        column.addWidget(self.purpose)
        self.cautions.setAlignment(Qt.AlignmentFlag.AlignTop)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        for part in (self.synthetic, self.number, self.notice, self.cautions, self.purpose, self.limits):
            part.scale(unit_px)

    def show_panel(self, panel: Panel) -> None:
        """Show this panel; calling it again with the same costs nothing."""
        self.synthetic.say(panel.synthetic or "")
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
