"""SPARSITY: what a grid of many small models needs of each: how well it ranks people, and how few features it uses.

Letters: P people of all parts, F features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from .. import prior
from ..attribution import Attribution
from ..attribution.gradient import at_least_one
from ..data import Dataset
from . import Row, estimated, roc_auc, scores_of, validation_score

SHARE = 0.9  # of all importance


@dataclass
class Sparsity:
    """Rows of a binary outcome; attributions are those of the first `explained` training rows (the paper's: all 100).

    A model without gradients (model=trees) has no attributions and none of their rows.
    """

    explained: int

    def __post_init__(self) -> None:
        at_least_one(explained=self.explained)

    def __call__(
        self, model: nn.Module, data: Dataset, explain: Attribution
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        """Rows, and the arrays: rank and outcome (P,), see `ranks`; features and importance (F,)."""
        if data.output != "binary":
            raise ValueError(f"evaluate=comparators is for binary outcomes; {data.name} has {data.output}")
        score, value = validation_score(model, data)
        scores = scores_of(model, data.test.x).reshape(-1).cpu().numpy()
        outcome = data.test.y.cpu().numpy()
        rows = [(f"validation_{score}", value), ("roc_auc", roc_auc(scores, outcome))]
        rows += [("average_precision", float(average_precision_score(outcome, scores)))]
        arrays = ranks(scores, data)
        if any(parameter.requires_grad for parameter in model.parameters()):
            x, y = data.train.x[: self.explained], data.train.y[: self.explained]
            with torch.no_grad():
                phi, _ = estimated(explain, model, x, y)  # (B, F)
            importance = phi.abs().mean(0).cpu()
            rows += measured(phi, importance, data)
            arrays |= {"features": np.array(data.features), "importance": importance.numpy()}
        return rows, arrays


def measured(phi: Tensor, importance: Tensor, data: Dataset) -> Iterator[Row]:
    """Gini, how many features hold most of the importance, and, where it is known, how many of those matter."""
    yield "gini", -float(prior.gini(phi, data))
    main = holding(importance)
    yield "features_90", float(len(main))
    if data.truth is not None:
        hits = float(data.truth.cpu()[main].sum())
        yield "truth_precision", hits / max(len(main), 1)
        yield "truth_recall", hits / float(data.truth.sum())


def holding(importance: Tensor, share: float = SHARE) -> Tensor:
    """The fewest features that hold `share` of all `importance` (F,), the most important first; none of zeros."""
    value, order = importance.double().sort(descending=True, stable=True)
    if value.sum() == 0:
        return order[:0]
    count = int((value.cumsum(0) < share * value.sum()).sum()) + 1
    return order[:count]


def ranks(scores: np.ndarray, data: Dataset) -> dict[str, np.ndarray]:
    """rank (P,): place of each test person's score, from 1, equal ones alike, 0 outside the test; outcome (P,).

    People are in the order of their units, the same for every replicate. An area under the curve needs no more.
    """
    parts = list(data.parts.values())
    people, place = np.unique(np.concatenate([part.unit for part in parts]), return_inverse=True)
    outcome = np.zeros(len(people), dtype=np.uint8)
    outcome[place] = np.concatenate([part.y.cpu().numpy() for part in parts])
    rank = np.zeros(len(people), dtype=np.uint16 if len(people) < 2**16 else np.uint32)
    rank[place[-len(scores) :]] = np.unique(scores, return_inverse=True)[1] + 1
    return {"rank": rank, "outcome": outcome}
