# SPDX-License-Identifier: GPL-2.0-only
"""Numbers out of pairs: medians, their spread, and what a goal says of them.

Every figure is a ratio of two things measured next to each other, because the machine's
speed drifts by more than what is measured. A ratio is the median of its pairs; its spread
is half the width of the 95 % confidence interval of that median, taken from order
statistics: no shape of the noise is assumed.
"""

import functools
import math
import random

PASS, MISS, UNRESOLVED = "pass", "MISS", "not resolved"


def quantile(values, q):
    """By linear interpolation between order statistics."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def median(values):
    return quantile(values, 0.5)


@functools.cache  # asked for after each pair: it takes milliseconds for a thousand
def rank_below(n):
    """How many values to leave out at either end for a 95 % interval of the median of n.

    The largest k with P(Binomial(n, 1/2) < k) <= 2.5 %; 0 means that even the outermost
    values do not make 95 %.
    """
    total, k = 0.0, 0
    while True:
        total += math.comb(n, k) / 2 ** n
        if total > 0.025:
            return k
        k += 1


def half_width(values):
    """Of the 95 % confidence interval of the median; infinite for fewer than 6 values."""
    k = rank_below(len(values))
    if k == 0:
        return math.inf
    ordered = sorted(values)
    return (ordered[len(ordered) - k] - ordered[k - 1]) / 2


def finite(number):
    """For JSON, which knows no infinity."""
    return round(number, 5) if math.isfinite(number) else None


class Figure:
    """A value and how far off it may be."""

    def __init__(self, value, spread, pairs=1):
        self.value, self.spread, self.pairs = value, spread, pairs

    def json(self):
        return {"value": finite(self.value), "spread": finite(self.spread), "pairs": self.pairs}


def figure(values):
    """The median of values with its spread; None when there are none."""
    return Figure(median(values), half_width(values), len(values)) if values else None


def quotients(above, below):
    """Pair by pair; pairs without a usable divisor are left out."""
    return [a / b for a, b in zip(above, below) if b > 0]


def ratio(above, below):
    """The figure of above / below."""
    return figure(quotients(above, below))


def quotient_of_medians(above, below, rounds=600):
    """The median of above / the median of below, when their values are no pairs.

    The spread is from a bootstrap, with a fixed seed. Where the divisor may be zero, the
    quotient is not resolved: its spread is infinite.
    """
    if not above or not below:
        return None
    value = median(above) / median(below) if median(below) else math.inf
    dice = random.Random(2)
    drawn = []
    for _ in range(rounds):
        a = median(dice.choices(above, k=len(above)))
        b = median(dice.choices(below, k=len(below)))
        if b <= 0:
            return Figure(value, math.inf, min(len(above), len(below)))
        drawn.append(a / b)
    spread = (quantile(drawn, 0.975) - quantile(drawn, 0.025)) / 2
    return Figure(value, spread, min(len(above), len(below)))


def at_most(value, limit, base=0.0, resolution=None):
    """Whether a figure stays within its limit.

    base is what the limit leaves room from: 1 for "the bare cost times 1.1". Where the
    figure's interval holds the limit, it counts only if the spread is at most half of that
    room. resolution: a spread that is needed in any case.
    """
    if value is None or not math.isfinite(value.value):
        return UNRESOLVED
    if resolution is not None and value.spread > resolution:
        return UNRESOLVED
    straddles = value.value - value.spread <= limit < value.value + value.spread
    if straddles and value.spread > (limit - base) / 2:
        return UNRESOLVED
    return PASS if value.value <= limit else MISS


def at_least(value, limit):
    """Whether a figure reaches its limit; where its interval holds it, as far as 20 %."""
    if value is None or not math.isfinite(value.value):
        return UNRESOLVED
    straddles = value.value - value.spread < limit <= value.value + value.spread
    if straddles and value.spread > limit * 0.2:
        return UNRESOLVED
    return PASS if value.value >= limit else MISS
