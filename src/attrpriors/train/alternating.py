"""Alternating steps: what the authors' code does in the place of one loss."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..data import Dataset
from ..prior import NoPrior, Prior
from .trainer import Trainer, not_finite


@dataclass(kw_only=True)
class Alternating(Trainer):
    """Two optimizers take turns on each batch: a step on the task's loss, then one on weight * penalty.

    The first alone decays weights, which belongs to the task's loss. Adam's steps do not grow with its loss: the weight
    hardly matters. Source: the code of Erion et al. 2021 (arXiv 1906.10670, Methods 5: 5 epochs, nu = 100).
    """

    penalising: Optimizer = field(init=False, repr=False)

    def _epochs(self, model: nn.Module, data: Dataset, prior: Prior, epochs: int) -> Iterator[dict[str, float]]:
        self.penalising = self.optimizer(model.parameters(), weight_decay=0.0)
        yield from super()._epochs(model, data, prior, epochs)

    def step(
        self, model: nn.Module, data: Dataset, prior: Prior, optimizer: Optimizer, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of each optimizer; without a weight, of the first alone."""
        loss, penalty = super().step(model, data, NoPrior(), optimizer, rows)
        if not prior.weight:
            return loss, penalty
        penalty = prior(model, self.shown(data.train.x[rows]), data.train.y[rows])
        if not torch.isfinite(penalty):
            raise FloatingPointError(not_finite(loss, penalty, prior.weight))
        self.penalising.zero_grad()
        (prior.weight * penalty).backward()
        self.penalising.step()
        return loss, penalty.detach()
