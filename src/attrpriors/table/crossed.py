"""CROSSED: intervals of differences in ROC-AUC that speak of new training people and of new test people.

Replicates and people are both drawn with replacement (Owen 2007, the pigeonhole bootstrap): replicates share their test
people, so that a t interval over replicates alone says nothing of other people. In the weights of the people the area
under the curve is replaced by its first order (DeLong et al. 1988: placements), whose error is of order 1 / people.

Letters: R replicates, H those of them whose test scores are at hand, P people of all replicates, D draws.
"""

from collections.abc import Mapping

import numpy as np

DRAWS = 1000


def influence(rank: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """(P,): what one person more adds to the area under the curve; 0 for people who are not tested (rank 0)."""
    tested = rank > 0
    positive, negative = tested & (outcome == 1), tested & (outcome == 0)
    above, below = np.sort(rank[positive]), np.sort(rank[negative])
    placed = np.zeros(len(rank))  # the share of the other kind that is in order with each person, ties by half
    placed[positive] = _below(below, rank[positive])
    placed[negative] = 1 - _below(above, rank[negative])
    area = placed[positive].mean()
    added = np.zeros(len(rank))
    added[positive] = (placed[positive] - area) / len(above)
    added[negative] = (placed[negative] - area) / len(below)
    return added


def _below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of `ordered` below each of `values`."""
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))


def draws(area: Mapping[str, np.ndarray], added: Mapping[str, np.ndarray], hand: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> mean areas (D,) of redrawn replicates and people, from areas (R,) and influences (H, P).

    `hand` (R,) tells the H replicates whose influences are known. Where some are not, what other people would change is
    the mean of those that are: the fewer they are, the wider the interval.
    """
    people = next(iter(added.values())).shape[1]
    generator = np.random.default_rng(0)
    of_replicates = generator.multinomial(len(hand), [1 / len(hand)] * len(hand), DRAWS) / len(hand)  # (D, R)
    of_known = of_replicates[:, hand]
    of_known = of_known / np.maximum(of_known.sum(1, keepdims=True), 1 / len(hand))  # (D, H)
    sums = {name: np.empty((len(values), DRAWS)) for name, values in added.items()}
    for draw in range(DRAWS):
        more = (np.bincount(generator.integers(people, size=people), minlength=people) - 1).astype(np.float32)
        for name, values in added.items():
            sums[name][:, draw] = values @ more
    return {name: of_replicates @ area[name] + np.einsum("dh,hd->d", of_known, sums[name]) for name in added}
