"""Breathing and a hand that is never quite still: tissue position over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_app.capture.phantom.arrays import Rng
from edge_app.capture.phantom.beam import Moment

PLANE_PER_S = 20.0  # neighbouring planes passed a second: physiological jitter and hand tremor


@dataclass(frozen=True, slots=True)
class Motion:
    """Breathing: ``excursion_cm`` from rest to either side, ``rate_hz``; and a slow drift of the probe."""

    excursion_cm: float
    rate_hz: float
    sink: float  # depth component of breathing, as a fraction
    phase: float

    def at(self, t_s: float) -> Moment:
        """Where tissue and plane are at a time."""
        angle = 2.0 * np.pi * self.rate_hz * t_s + self.phase
        breath = self.excursion_cm * float(np.cos(angle + 0.5 * np.sin(angle)))  # longer at expiration
        drift_x = 0.08 * float(np.sin(2.0 * np.pi * 0.061 * t_s + 2.0 * self.phase))
        drift_y = 0.03 * float(np.sin(2.0 * np.pi * 0.043 * t_s + 3.0 * self.phase))
        return Moment((breath + drift_x, self.sink * breath + drift_y), PLANE_PER_S * t_s + 0.8 * breath)


def draw_motion(rng: Rng) -> Motion:
    """Draw a quiet breather: 1-1.8 cm from end to end at 0.2-0.3 Hz."""
    return Motion(
        float(rng.uniform(0.5, 0.9)),
        float(rng.uniform(0.2, 0.3)),
        float(rng.uniform(0.05, 0.18)),
        float(rng.uniform(0, 6.28)),
    )
