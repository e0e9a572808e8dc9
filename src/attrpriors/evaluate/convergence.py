"""CONVERGENCE: after how many epochs, and at what cost, a prior has rid a model of its redundant feature.

The authors' demo (attributionpriors, "Convergence Demo.ipynb"), on two features of which the second is redundant.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ..attribution import Attribution
from ..data import Dataset
from ..record import Row
from . import scores_of

GRID = torch.arange(100) / 100  # values of the other feature


def dependence(model: nn.Module, data: Dataset) -> dict[str, float]:
    """Mean change of the probability from 0 to 1 of the second feature, over that of the first: 0 is not to depend."""
    if data.shape != (2,) or data.output != "binary":
        raise ValueError(
            f"dependence is of one of two features, on a binary outcome; {data.name} has features of shape "
            f"{data.shape} and the output {data.output}"
        )
    grid, device = GRID.to(data.train.x.device), data.train.x.device

    def change(feature: int) -> Tensor:
        ends = [torch.full((len(grid), 2), end, device=device) for end in (0.0, 1.0)]
        for x in ends:
            x[:, 1 - feature] = grid
        low, high = (scores_of(model, x).sigmoid() for x in ends)
        return (high - low).mean()

    return {"dependence": float(change(1) / change(0))}


@dataclass
class Convergence:
    """The first epoch after which the watched dependence is below `bound`, and what it cost; NaN: never.

    Dependence and task loss are those of the last epoch, whatever epoch the model ends with.
    The cost is counted in gradients: rows that pass through the model to explain one row, once an epoch.
    """

    bound: float

    def __call__(
        self, model: nn.Module, data: Dataset, attribution: Attribution, history: pd.DataFrame
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        if "dependence" not in history:
            raise ValueError("convergence needs a training that watches the dependence (train=convergence)")
        curve = history["dependence"].to_numpy()
        below = np.flatnonzero(np.abs(curve) < self.bound)
        epoch = float(below[0] + 1) if len(below) else float("nan")
        gradients = points(attribution, model, data.train.x[:1], data.train.y[:1])
        rows: list[Row] = [
            ("converged_epoch", epoch),
            ("gradients_to_converge", epoch * gradients),
            ("dependence", float(curve[-1])),
            ("final_loss", float(history["loss"].iloc[-1])),
        ]
        return rows, {"dependence": curve, "gradients": gradients * np.arange(1, len(curve) + 1)}


def points(attribution: Attribution, model: nn.Module, x: Tensor, y: Tensor) -> int:
    """How many rows pass through the model while `attribution` explains x (B, *F)."""
    counter = Counter(model)
    attribution(counter, x, y)
    return counter.rows


class Counter(nn.Module):
    """A model that counts the rows it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.rows = model, 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        scores: Tensor = self.model(x)
        return scores
