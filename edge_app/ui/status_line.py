"""What the bottom line says and in what order it becomes shorter where the window has no room for all. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_app.live.messages import ModelSummary, SourceSummary

STAGES = ("sector", "calipers", "infer", "total")  # the others are in the full text
DOT = "  ·  "
FALLBACK = "a fallback, with consent"
FAIR_NAME = 40  # characters of a name that pushes nothing else aside
LEAST_NAME = 14  # characters of it that always stay
Measure = Callable[[str], float]  # width of a text, pixels


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the line: what it says in full, and ever shorter, each with its turn; '' is nothing.

    Of all parts the shortening with the lowest turn comes first.
    """

    full: str
    shorter: tuple[tuple[int, str], ...] = ()

    def form(self, steps: int) -> str:
        """Return what it says after so many shortenings."""
        return self.full if steps == 0 else self.shorter[steps - 1][1]


@dataclass(frozen=True, slots=True)
class Figures:
    """How fast all goes, and what was left out."""

    stages_ms: Mapping[str, float]
    captured: float  # a second; so are shown and analysed
    shown: float
    analysed: float
    skipped: int  # captured, never analysed
    dropped: int  # of the stream, never on the screen
    torn: int  # made of two frames, not read


def identity(source: SourceSummary, model: ModelSummary | None, runtime: str) -> tuple[Part, ...]:
    """Return what stands on the left: source, model, runtime. The source's name and SYNTHETIC never go."""
    parts = [Part(source.title, _cut(source.title, 0, FAIR_NAME) + _cut(source.title, 9, LEAST_NAME))]
    if model is None:
        return tuple(parts)
    mark = " SYNTHETIC" if model.synthetic else ""
    bundle = f"{model.bundle_id} {model.version}{mark}"
    fair, short = (f"{middle(model.bundle_id, length)}{mark}" for length in (FAIR_NAME, LEAST_NAME))
    parts.append(Part(f"{bundle}, {model.signature}", ((2, bundle), (5, fair), (6, short))))
    if model.note:
        parts.append(Part(f"{runtime} ({FALLBACK})", ((4, f"{runtime} (fallback)"), (6, "fallback"))))
    else:
        parts.append(Part(runtime, ((4, ""),)))
    return tuple(parts)


def counts(figures: Figures) -> tuple[Part, ...]:
    """Return what stands on the right: times, rates, losses. Losses go last, and torn frames never."""
    stages = figures.stages_ms
    times = " ".join(f"{name} {stages[name]:.0f}" for name in STAGES if name in stages)
    total = f"{stages['total']:.0f} ms" if "total" in stages else ""
    rates = (figures.captured, figures.shown, figures.analysed)
    lost = ((figures.skipped, "skipped"), (figures.dropped, "dropped"), (figures.torn, "torn"))
    full = f"{figures.skipped} not analysed, {figures.dropped} dropped" + f", {figures.torn} torn" * bool(figures.torn)
    some = ", ".join(f"{compact(count)} {word}" for count, word in lost if count)
    torn = f"{compact(figures.torn)} torn" if figures.torn else ""
    return (
        Part(f"ms: {times}" if times else "", ((1, total), (7, ""))),
        Part(
            "{:.0f} in/s, {:.0f} shown/s, {:.0f} analysed/s".format(*rates),
            ((3, "{:.0f}/{:.0f}/{:.0f} per s".format(*rates)), (8, "")),
        ),
        Part(full, ((6, some), (10, torn))),
    )


def fit(parts: tuple[Part, ...], width: float, measure: Measure) -> list[str]:
    """Return what each part says so that all of them, side by side, are no wider than ``width`` if that can be."""
    steps = [0] * len(parts)
    turns = sorted((turn, at) for at, part in enumerate(parts) for turn, _ in part.shorter)
    for _, at in turns:
        if measure(joined(_said(parts, steps))) <= width:
            break
        steps[at] += 1
    return _said(parts, steps)


def _cut(name: str, turn: int, least: int) -> tuple[tuple[int, str], ...]:
    """Return a name cut in its middle, by a character more each time, down to ``least``."""
    longest = len(name) if least == FAIR_NAME else min(len(name), FAIR_NAME)
    return tuple((turn, middle(name, length)) for length in range(longest - 1, least - 1, -1))


def joined(forms: list[str]) -> str:
    """Return parts that are not empty, with dots between them."""
    return DOT.join(form for form in forms if form)


def middle(name: str, length: int) -> str:
    """Return a name of no more than ``length`` characters; what is left out stood in the middle."""
    if len(name) <= length:
        return name
    head = length // 2
    return f"{name[:head].rstrip()}…{name[len(name) - (length - 1 - head) :].lstrip()}"


def compact(count: int) -> str:
    """Return a count in at most four characters: 999, 1.2k, 34k, 5.6M."""
    for limit, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= limit:
            return f"{count / limit:.1f}{unit}" if count < 10 * limit else f"{count // limit}{unit}"
    return str(count)


def _said(parts: tuple[Part, ...], steps: list[int]) -> list[str]:
    return [part.form(count) for part, count in zip(parts, steps, strict=True)]
