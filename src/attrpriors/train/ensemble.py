"""ENSEMBLE: many small networks trained at once, each as if it were alone.

The members' rows are blocks of one batch (M*B, *F) and their weights are stacked (M, out, in), so that a layer is one
batched matrix product. Attributions and penalties are those of the single run; members never mix.

Letters: M members, N training rows of a member, B rows of its batch, *F features, O outputs.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import progress
from ..data import Dataset
from ..evaluate import scores_of, validation_of
from ..prior import Prior
from .stack import stack, unstack
from .trainer import Trainer, not_finite, task_loss

Result = pd.DataFrame | FloatingPointError


@dataclass
class Ensemble(Trainer):
    """Trains members together, each with its own rows, weights, draws, strength and best epoch.

    The optimizer works element by element, as all of the Adam and SGD families do.

    Shapes: M members' rows are blocks of one batch (M*B, *F), their weights are stacked (M, out, in). Unit: as of
    Trainer. Errors: ValueError on networks of other than linear layers, attributions with draws other than expected
    gradients, members of unequal size; a member whose loss is not finite is lost alone. Source: this project.
    """

    members: int = 16  # trained at once; memory grows with it

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.members, bool) or not isinstance(self.members, int) or self.members < 1:
            raise ValueError(f"train.members is a whole number, 1 or more; found {self.members!r}")
        if self.augment or self.statistics:
            raise ValueError("train.augment and train.statistics are for single networks (train=images)")

    def fit_members(
        self,
        models: Sequence[nn.Module],
        datas: Sequence[Dataset],
        priors: Sequence[Prior],
        generators: Sequence[torch.Generator],
        states: Sequence[Tensor] | None = None,
    ) -> list[Result]:
        """Train `models` in place; for each the history as of Trainer.fit, or the error of that member alone.

        `generators` order the batches; `states` of the global generator draw the dropout (torch.get_rng_state()).
        """
        sizes = {(len(data.train), len(data.val), data.shape, data.output) for data in datas}
        if len(sizes) > 1:
            raise ValueError(f"members have equally many training and validation rows; found {sorted(map(str, sizes))}")
        states = states or [torch.get_rng_state()] * len(models)
        results: list[Result] = []
        for start in range(0, len(models), self.members):
            part = slice(start, start + self.members)
            group = Group(self, models[part], datas[part], priors[part], generators[part], states[part])
            results += group.fit()
        return results


class Group:
    """Members that are trained at once."""

    def __init__(
        self,
        settings: Ensemble,
        models: Sequence[nn.Module],
        datas: Sequence[Dataset],
        priors: Sequence[Prior],
        generators: Sequence[torch.Generator],
        states: Sequence[Tensor],
    ) -> None:
        self.settings, self.models, self.datas, self.priors = settings, models, datas, priors
        self.generators, self.net = generators, stack(models, states)
        self.x = torch.stack([data.train.x for data in datas])  # (M, N, *F)
        self.y = torch.stack([data.train.y for data in datas])  # (M, N)
        self.val = torch.cat([data.val.x for data in datas])
        self.errors: dict[int, FloatingPointError] = {}

    def fit(self) -> list[Result]:
        """The history or the error of each member."""
        rows: list[list[dict[str, object]]] = [[] for _ in self.models]
        for phase, epochs, active in self.settings.phases(self.priors):
            best = [-float("inf")] * len(self.models)
            kept = {name: value.clone() for name, value in self.net.state_dict().items()}
            optimizer = self.settings.optimizer(self.net.parameters())
            schedule = self.settings.schedule(optimizer) if self.settings.schedule else None
            penalties = type(active[0]).of_members(active)
            for epoch in progress.epochs(epochs):
                start = time.perf_counter()
                means = self._epoch(penalties, active, optimizer, epoch)
                seconds = (time.perf_counter() - start) / len(self.models)
                if schedule:
                    schedule.step()
                better, seen = [], self._watched()
                for member, (score, value) in self._validate().items():
                    loss, penalty = means[member]
                    row = {"loss": loss, "penalty": penalty, "seconds": seconds, f"validation_{score}": value}
                    rows[member].append({"epoch": len(rows[member]) + 1, "phase": phase, **row, **seen[member]})
                    if value > best[member]:
                        best[member] = value
                        better.append(member)
                for name, value in self.net.state_dict().items():
                    kept[name][better] = value[better]
            self.net.load_state_dict(kept)
        unstack(self.net, self.models)
        return [self.errors.get(member, pd.DataFrame(table)) for member, table in enumerate(rows)]

    def _epoch(
        self, penalties: Callable[..., Tensor], priors: Sequence[Prior], optimizer: Optimizer, epoch: int
    ) -> list[list[float]]:
        """Mean task loss and mean penalty of each member, (M, 2)."""
        self.net.train()
        count = self.x.shape[1]
        orders = torch.stack([torch.randperm(count, generator=generator) for generator in self.generators])
        batches = orders.to(self.x.device).split(self.settings.batch_size or count, dim=1)
        weight = torch.tensor([prior.weight for prior in priors], dtype=self.x.dtype, device=self.x.device)
        sums = torch.zeros(len(self.models), 2)
        for number, rows in enumerate(batches, 1):
            loss, penalty = self._step(penalties, weight, optimizer, rows)
            for member in (~torch.isfinite(loss + weight * penalty)).nonzero().flatten().tolist():
                sentence = not_finite(loss[member], penalty[member], priors[member].weight)
                error = FloatingPointError(f"the loss is not finite at epoch {epoch}, step {number}: {sentence}")
                self.errors.setdefault(member, error)
            sums += torch.stack([loss, penalty], 1).cpu()
        return (sums / len(batches)).tolist()

    def _step(
        self, penalties: Callable[..., Tensor], weight: Tensor, optimizer: Optimizer, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step on the rows (M, B) of each member; task losses and penalties (M,)."""
        member = torch.arange(len(rows), device=rows.device)[:, None]
        x, y = self.x[member, rows].flatten(0, 1), self.y[member, rows]  # (M*B, *F), (M, B)
        scores = self.net(x).unflatten(0, rows.shape)  # (M, B, O)
        output = self.datas[0].output
        loss = torch.stack([task_loss(one, other, output) for one, other in zip(scores, y, strict=True)])
        penalty = penalties(self.net, x, y.flatten())
        optimizer.zero_grad()
        (loss + weight * penalty).sum().backward()  # members share no weight: each gets its own gradient
        optimizer.step()
        return loss.detach(), penalty.detach()

    def _watched(self) -> list[Mapping[str, float]]:
        """What the settings watch of each member."""
        watch = self.settings.watch
        if watch is None:
            return [{}] * len(self.models)
        unstack(self.net, self.models)
        return [watch(model, data) for model, data in zip(self.models, self.datas, strict=True)]

    def _validate(self) -> dict[int, tuple[str, float]]:
        """Member -> the validation score that chooses its epoch; members whose scores are not finite are lost."""
        scores = scores_of(self.net, self.val, batch=len(self.val)).unflatten(0, (len(self.models), -1))
        found = {}
        for member in set(range(len(self.models))) - set(self.errors):
            try:
                found[member] = validation_of(scores[member], self.datas[member])
            except FloatingPointError as error:
                self.errors[member] = error
        return found
