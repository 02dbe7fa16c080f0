"""Matchings: how probable each of the possible pairs among some markers is, all ways to pair them weighed together.

A way to pair markers leaves some of them single: glyphs that are none, cursors, ends whose other end is not in the
picture. The weight of a way is the product of what speaks for its pairs and for its singles; the probability of a pair
is the share of the ways that contain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log

MOST = 8
"""Markers that are paired at once: 764 ways."""
LEAST_LEFT = 1e-6

Pairing = tuple[tuple[int, int], ...]


def ways(count: int, allowed: Sequence[tuple[int, int]]) -> Iterator[Pairing]:
    """Yield every way to pair ``count`` markers by ``allowed`` pairs, each marker at most once; the empty one too."""
    partners: dict[int, list[int]] = {}
    for a, b in allowed:
        partners.setdefault(min(a, b), []).append(max(a, b))

    def going_on(at: int, taken: frozenset[int], pairs: Pairing) -> Iterator[Pairing]:
        if at == count:
            yield pairs
            return
        yield from going_on(at + 1, taken, pairs)
        if at not in taken:
            for other in partners.get(at, ()):
                if other not in taken:
                    yield from going_on(at + 1, taken | {other}, (*pairs, (at, other)))

    yield from going_on(0, frozenset(), ())


def probabilities(
    single: Sequence[float], pairs: dict[tuple[int, int], float], together: dict[Pairing, float] | None = None
) -> dict[tuple[int, int], float]:
    """Return the probability of each pair.

    Parameters
    ----------
    single : sequence of float
        Of each marker the log of how likely it is to stand where it stands without a partner.
    pairs : dict
        Of each possible pair (smaller index first) the log of how likely it is to look as it does.
    together : dict or None
        What two pairs in one way speak for each other, by ((a, b), (c, d)) in order; nothing where they are not named.
    """
    met = together or {}
    weights: dict[Pairing, float] = {}
    for way in ways(len(single), list(pairs)):
        taken = {end for pair in way for end in pair}
        weight = sum(pairs[pair] for pair in way) + sum(value for i, value in enumerate(single) if i not in taken)
        weights[way] = weight + sum(met.get((a, b), 0.0) for n, a in enumerate(way) for b in way[n + 1 :])
    most = max(weights.values())
    shares = {way: exp(weight - most) for way, weight in weights.items()}
    total = sum(shares.values())
    return {pair: sum(share for way, share in shares.items() if pair in way) / total for pair in pairs}


def chance(probability: float) -> float:
    """Return the log of a probability, never of nothing."""
    return log(max(probability, LEAST_LEFT))
