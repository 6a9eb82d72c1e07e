"""What chance may do."""

import itertools
import math

# Each side of the band is missed once in 30,000 runs: the 4 sigma of the normal distribution.
_RARE = 1 / 30_000


def band(count, probability):
    """The lowest and the highest number of successes in so many draws that is not too rare to be
    believed. Of the binomial distribution itself: near 0 and 1 it is not like the normal one.
    """
    return _first(count, probability), count - _first(count, 1 - probability)


def _first(count, probability):
    """The lowest number that is exceeded or met often enough to be believed."""
    chances = (_chance(n, count, probability) for n in range(count + 1))
    return next(n for n, sum_ in enumerate(itertools.accumulate(chances)) if sum_ > _RARE)


def _chance(successes, count, probability):
    """By logarithms: the numbers of ways are too large, and the chances of each too small."""
    ways = (
        math.lgamma(count + 1) - math.lgamma(successes + 1) - math.lgamma(count - successes + 1)
    )
    failures = count - successes
    return math.exp(ways + successes * math.log(probability) + failures * math.log1p(-probability))
