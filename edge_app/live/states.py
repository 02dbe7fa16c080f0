"""States of the stream: what may follow on what, and how long is waited before something is tried again.

One table for the whole way from the scanner to the window; ``edge_app.live.supervisor`` finds the events, this
module says what they mean. Pure: no clock, no process.

=============  ====================================================================================
starting       a worker opens source and model; the window waits
running        pictures come: LIVE, FROZEN or STALE, as the reports say of each
lost           no trustworthy picture; it may come back by itself (a loose cable, a busy computer)
recovering     the same, and something is done about it: the source is opened, or the worker started, again
failed         nothing goes on by itself
closed         the window has ended it
=============  ====================================================================================
"""

from __future__ import annotations

from typing import Final, Literal

Phase = Literal["idle", "starting", "running", "lost", "recovering", "failed", "closed"]
Event = Literal[
    "begin",  # a worker is at work on source and model
    "ready",  # it has both
    "quiet",  # no sign of life, or no new picture, for too long
    "flow",  # pictures come again
    "source_down",  # the source failed or ended, and is opened again
    "died",  # the worker ended, or was ended because it hung
    "give_up",  # too often, or something that does not mend by itself
    "close",
]

TABLE: Final[dict[tuple[Phase, Event], Phase]] = {
    ("idle", "begin"): "starting",
    ("starting", "ready"): "running",
    ("starting", "quiet"): "lost",
    ("starting", "source_down"): "recovering",
    ("starting", "died"): "recovering",
    ("starting", "give_up"): "failed",
    ("running", "quiet"): "lost",
    ("running", "source_down"): "recovering",
    ("running", "died"): "recovering",
    ("running", "give_up"): "failed",
    ("lost", "begin"): "starting",  # pictures come again, but the model is not ready yet
    ("lost", "ready"): "running",
    ("lost", "flow"): "running",
    ("lost", "source_down"): "recovering",
    ("lost", "died"): "recovering",
    ("lost", "give_up"): "failed",
    ("recovering", "begin"): "starting",
    ("recovering", "ready"): "running",
    ("recovering", "flow"): "running",
    ("recovering", "source_down"): "recovering",
    ("recovering", "died"): "recovering",
    ("recovering", "give_up"): "failed",
    ("idle", "close"): "closed",
    ("starting", "close"): "closed",
    ("running", "close"): "closed",
    ("lost", "close"): "closed",
    ("recovering", "close"): "closed",
    ("failed", "close"): "closed",
}
"""What is not in it changes nothing: a worker that is ready late revives nothing that has failed."""

WITHOUT_PICTURE: Final = frozenset[Phase]({"lost", "recovering"})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0


def after(phase: Phase, event: Event) -> Phase:
    """Return the state that follows on ``event``."""
    return TABLE.get((phase, event), phase)


def wait_s(attempt: int) -> float:
    """Return the pause before attempt 1, 2, 3 ... at something that failed: 0.5, 1, 2, 4, 8, then 15 s for ever."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 30))
