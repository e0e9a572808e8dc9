"""Training that goes on from the plainly trained network, with a loss of its own."""

from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import nn

from ..data import Dataset
from ..evaluate import validation_score
from ..prior import NoPrior, Prior
from . import Trainer


@dataclass(kw_only=True)
class Continued(Trainer):
    """Plain training, then `finetune` epochs more with the scheme's loss and the prior; the last epoch stays.

    What the later epochs are for (explanations or predictions under attack) does not show in the validation score, so
    that score does not choose among them. With the loss of Trainer: plain training, continued.
    """

    draws: torch.Generator = field(init=False, repr=False)  # of the later epochs, apart from the order of the batches

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.finetune < 1:
            raise ValueError(f"train.finetune is 1 or more where training is continued; found {self.finetune}")

    def fit(self, model: nn.Module, data: Dataset, prior: Prior) -> pd.DataFrame:
        """Train `model` in place. One row an epoch, as Trainer."""
        first = Trainer(
            self.epochs,
            self.batch_size,
            self.optimizer,
            self.generator,
            schedule=self.schedule,
            statistics=self.statistics,
            augment=self.augment,
        )
        first.changes = self.changes
        plain = first.fit(model, data, NoPrior()).assign(phase="plain")
        seed = torch.randint(2**62, (), generator=self.generator)  # for every scheme, so that their batches are paired
        self.draws = torch.Generator().manual_seed(int(seed))
        self.begin(model, data)
        rows: list[dict[str, object]] = []
        for row in self._epochs(model, data, prior, self.finetune):
            score, value = validation_score(model, data)
            number = self.epochs + len(rows) + 1
            rows.append({"epoch": number, "phase": "prior", **row, f"validation_{score}": value})
        return pd.concat([plain, pd.DataFrame(rows)], ignore_index=True)

    def begin(self, model: nn.Module, data: Dataset) -> None:
        """Called once between the two phases, with the plainly trained model."""
