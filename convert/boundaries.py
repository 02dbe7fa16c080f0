"""The one boundary that the second head is about."""

from __future__ import annotations

CKD_LIMIT = 60.0  # mL/min/1.73 m2; the label is ONE value below it, no three-month rule (clinic-and-paper 1.1)
