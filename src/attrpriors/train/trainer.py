"""TRAINER: minimises task loss + weight * prior. The only optimizer.step() of the project."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name PyTorch users know
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import update_bn

from .. import progress
from ..data import Dataset, Output
from ..evaluate import validation_score
from ..prior import NoPrior, Prior
from ..record.randomness import stream
from .augment import Augmentation


def task_loss(scores: Tensor, y: Tensor, output: Output) -> Tensor:
    """Mean cross entropy (classes, binary) or mean squared error (regression) of scores (B, O) against y (B,)."""
    if output == "classes":
        return F.cross_entropy(scores, y)
    scores = scores.reshape(-1)
    return F.binary_cross_entropy_with_logits(scores, y) if output == "binary" else F.mse_loss(scores, y)


def not_finite(loss: Tensor, penalty: Tensor, weight: float) -> str:
    """What is said of a loss that is not finite."""
    return f"task {loss:.3g}, penalty {penalty:.3g}, weight {weight:.3g}; try a smaller learning rate or prior.weight"


@dataclass
class Trainer:
    """One training loop; the model ends with the weights of its best validation epoch.

    With `finetune` > 0 the prior is off for `epochs` epochs and on for `finetune` more, which start from the best plain
    weights and choose their own best epoch.

    Shapes: steps on x (B, *F) and y (B,), scores (B, O). Unit: cross entropy in nats (classes, binary) or squared error
    (regression), mean over rows. Errors: ValueError on a setting out of range, FloatingPointError where the loss is not
    finite. Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2.4: 120 epochs, then 5 with the prior).
    """

    epochs: int
    batch_size: int | None  # rows of a step; None: the whole training set
    optimizer: Callable[..., Optimizer]
    generator: torch.Generator  # of the order of the batches
    finetune: int = 0
    schedule: Callable[[Optimizer], LRScheduler] | None = None  # stepped once an epoch
    watch: Callable[[nn.Module, Dataset], Mapping[str, float]] | None = None  # columns more of the history
    statistics: int = 0  # training rows that BatchNorm's statistics are taken of after each epoch; 0: the running ones
    augment: Augmentation | None = None  # what is done to the images of a step before anything else
    changes: torch.Generator = field(init=False, repr=False)  # of `augment`, which does not move the batches

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("finetune", 0), ("statistics", 0)):
            value = getattr(self, name)
            if value is None and name == "batch_size":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"train.{name} is a whole number, {least} or more; found {value!r}")
        self.changes = stream(self.generator.initial_seed(), "augment")

    def fit(self, model: nn.Module, data: Dataset, prior: Prior) -> pd.DataFrame:
        """Train `model` in place. One row an epoch: epoch, phase, loss, penalty, the validation score, seconds."""
        rows: list[dict[str, object]] = []
        for phase, epochs, (active,) in self.phases([prior]):
            best, kept = -float("inf"), model.state_dict()
            for row in self._epochs(model, data, active, epochs):
                score, value = validation_score(model, data)
                seen = self.watch(model, data) if self.watch else {}
                rows.append({"epoch": len(rows) + 1, "phase": phase, **row, f"validation_{score}": value, **seen})
                if value > best:
                    best, kept = value, copy.deepcopy(model.state_dict())
            model.load_state_dict(kept)
        return pd.DataFrame(rows)

    def phases(self, priors: Sequence[Prior]) -> list[tuple[str, int, Sequence[Prior]]]:
        """Name, epochs and active priors of each phase; every phase starts from the best weights of the last one."""
        if not self.finetune:
            return [("prior", self.epochs, priors)]
        return [("plain", self.epochs, [NoPrior()] * len(priors)), ("prior", self.finetune, priors)]

    def _epochs(self, model: nn.Module, data: Dataset, prior: Prior, epochs: int) -> Iterator[dict[str, float]]:
        if not any(True for _ in model.parameters()):
            raise ValueError(f"{type(model).__name__} has no weights to train; model=trees is for train=boosting")
        optimizer = self.optimizer(model.parameters())
        schedule = self.schedule(optimizer) if self.schedule else None
        for epoch in progress.epochs(epochs):
            start = time.perf_counter()
            loss, penalty = self._epoch(model, data, prior, optimizer, epoch)
            seconds = time.perf_counter() - start
            if self.statistics:  # the running ones can stay behind the weights
                batches = data.train.x[: self.statistics].split(self.batch_size or len(data.train))
                update_bn((self.shown(x) for x in batches), model)
            if schedule:
                schedule.step()
            yield {"loss": loss, "penalty": penalty, "seconds": seconds}

    def _epoch(
        self, model: nn.Module, data: Dataset, prior: Prior, optimizer: Optimizer, epoch: int
    ) -> tuple[float, float]:
        """Mean task loss and mean penalty over the steps of one epoch."""
        model.train()
        sums = torch.zeros(2)
        batches = torch.randperm(len(data.train), generator=self.generator)
        batches = batches.split(self.batch_size or len(data.train))
        for number, rows in enumerate(batches, 1):
            try:
                sums += torch.stack(self.step(model, data, prior, optimizer, rows.to(data.train.x.device))).cpu()
            except FloatingPointError as error:
                raise FloatingPointError(f"the loss is not finite at epoch {epoch}, step {number}: {error}") from error
        loss_mean, penalty_mean = (sums / len(batches)).tolist()
        return loss_mean, penalty_mean

    def step(
        self, model: nn.Module, data: Dataset, prior: Prior, optimizer: Optimizer, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step on the training rows numbered `rows` (B,). Task loss and penalty; FloatingPointError on NaN."""
        x, y = self.shown(data.train.x[rows]), data.train.y[rows]
        loss = self.loss(model, x, y, data.output)
        penalty = prior(model, x, y)  # after the task's forward pass, which moves BatchNorm's statistics
        total = loss + prior.weight * penalty
        if not torch.isfinite(total):
            raise FloatingPointError(not_finite(loss, penalty, prior.weight))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return loss.detach(), penalty.detach()

    def shown(self, x: Tensor) -> Tensor:
        """Rows as a step has them: augmented."""
        return self.augment(x, self.changes) if self.augment else x

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, output: Output) -> Tensor:
        """What a step minimises beside the prior: the task's loss; a scheme of its own has another."""
        return task_loss(model(x), y, output)
