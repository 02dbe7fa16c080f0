"""The readout: one huge number with all that it may not be read without, or the reason why there is none."""

from __future__ import annotations

from edge_app.live.messages import ModelSummary
from edge_app.ui import theme, wording
from edge_app.ui._qt import QFrame, QSizePolicy, Qt, QVBoxLayout, QWidget
from edge_app.ui.mark_strip import MarkStrip
from edge_app.ui.number_page import NumberPage
from edge_app.ui.panel import Panel
from edge_app.ui.text import Fitting, Line


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
        self.purpose.setText(wording.purpose(()))
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

    def show_model(self, model: ModelSummary | None) -> None:
        """Show at the point of use what a model's numbers are, and its own limits."""
        self.purpose.setText(wording.purpose(model.heads if model else ()))
        self.limits.say(model.limits if model else ())

    @property
    def number_is_shown(self) -> bool:
        """Whether a number is on screen."""
        return not self.number.isHidden()
