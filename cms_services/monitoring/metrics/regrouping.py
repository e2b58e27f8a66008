"""The counts of a histogram in other buckets, for one whose bounds change as it is filled.

An exponential histogram gets more buckets as its values spread, and then wider ones, each of which
holds several of the former: what was counted before then still falls whole into one of the new.
"""

from collections.abc import Sequence

import numpy as np

from cms_services.monitoring.metrics.values import Buckets


def growth_of_other_buckets(
    bounds: Sequence[float], counts: Sequence[float], given: Buckets
) -> list[float]:
    """What each bucket has more than what was counted before in buckets with `bounds`.

    How much all of them grew is certain, so that is what the growth of each adds up to.
    """
    earlier = regrouped(bounds, counts, given.bounds)
    grown = [max(0.0, new - old) for new, old in zip(given.counts, earlier, strict=True)]
    certain, found = sum(given.counts) - sum(counts), sum(grown)
    return [each * certain / found for each in grown] if found else grown


def regrouped(
    bounds: Sequence[float], counts: Sequence[float], others: Sequence[float]
) -> list[float]:
    """How many values are in buckets with the bounds `others`.

    Exact where no bucket that holds any reaches over one of those; else its values count as evenly
    spread, and those above the last bound as just above it.
    """
    if not bounds or not others:
        return [*([0.0] * len(others)), float(sum(counts))]
    reached = np.cumsum(np.asarray(counts, dtype=float))
    edges = np.asarray([min(0.0, bounds[0]), *bounds] if bounds[0] > 0 else bounds, dtype=float)
    below = reached[:-1] if bounds[0] <= 0 else np.concatenate(([0.0], reached[:-1]))
    at_others = np.interp(np.asarray(others, dtype=float), edges, below, left=0.0, right=below[-1])
    # Of those above the last bound nobody knows how far.
    beyond = np.asarray(others, dtype=float) > edges[-1]
    at_others[beyond] = reached[-1]
    return [float(each) for each in np.diff(np.concatenate(([0.0], at_others, reached[-1:])))]
