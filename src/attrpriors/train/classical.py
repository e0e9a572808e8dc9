"""CLASSICAL: what stands beside the networks: logistic regression and gradient-boosted trees of scikit-learn.

Linear models of a value: train.regression.
Their strength, or number of trees, is the one of best validation score, as the epoch of a network is.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn

from ..data import Dataset
from ..evaluate import validation_of
from ..model import Trees
from ..prior import Prior


class Candidate(Protocol):
    """A fitted estimator."""

    def decision_function(self, x: np.ndarray) -> np.ndarray: ...


class Classical:
    """Fits one candidate after the other and keeps the first of best validation score."""

    output = "binary"  # or "regression"

    def fit(self, model: nn.Module, data: Dataset, prior: Prior) -> pd.DataFrame:
        """Fit `model` in place. One row a candidate: epoch (its number), loss, the validation score, seconds."""
        if data.output != self.output:
            raise ValueError(
                f"this classical model is for outcomes that are {self.output}; {data.name} has {data.output}"
            )
        if prior.weight:
            raise ValueError("classical models have penalties of their own: prior=none trains them")
        x, y = (part.cpu().numpy().astype(np.float64) for part in (data.train.x.flatten(1), data.train.y))
        rows: list[dict[str, object]] = []
        best, start = -float("inf"), time.perf_counter()
        for setting, candidate in self.candidates(x, y, data):
            seconds, start = time.perf_counter() - start, time.perf_counter()
            scores = torch.from_numpy(candidate.decision_function(data.val.x.flatten(1).cpu().numpy())).to(data.val.x)
            score, value = validation_of(scores, data)
            loss = self.loss(y, candidate.decision_function(x))
            row = {"epoch": len(rows) + 1, "phase": "prior", "loss": loss, "penalty": 0.0, "seconds": seconds}
            rows.append({**row, f"validation_{score}": value, **setting})
            if value > best:
                best = value
                self.keep(candidate, model)
        return pd.DataFrame(rows)

    def loss(self, y: np.ndarray, score: np.ndarray) -> float:
        """The task's, as of the networks: cross entropy or squared error."""
        if self.output == "regression":
            return float(np.square(y - score).mean())
        return float(log_loss(y, 1 / (1 + np.exp(-score))))

    def candidates(self, x: np.ndarray, y: np.ndarray, data: Dataset) -> Iterator[tuple[dict[str, float], Candidate]]:
        """What tells a candidate apart, and the fitted candidate."""
        raise NotImplementedError

    def keep(self, candidate: Any, model: nn.Module) -> None:
        """Make `model` the candidate."""
        raise NotImplementedError


def check_strengths(strengths: Sequence[float]) -> None:
    if not strengths or not min(strengths) > 0:
        raise ValueError(f"train.strengths are numbers above 0; found {list(strengths)}")


def into_linear(candidate: Any, model: nn.Module) -> None:
    """The coefficients and intercept of a linear candidate, as the one layer of `model`."""
    layers = [module for module in model.modules() if list(module.parameters(recurse=False))]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        raise ValueError(f"a linear candidate is for model=linear; found {[type(layer).__name__ for layer in layers]}")
    with torch.no_grad():
        layers[0].weight.copy_(torch.from_numpy(candidate.coef_))
        layers[0].bias.copy_(torch.from_numpy(candidate.intercept_))


class Logistic(Classical):
    """Logistic regression into model=linear: -log likelihood + strength * (sum |w|, or sum w^2 / 2); the bias is free.

    `penalty` is l1 or l2; with `feature`, that feature alone (capitals aside).
    """

    def __init__(self, penalty: str, strengths: Sequence[float], feature: str | None = None) -> None:
        if penalty not in ("l1", "l2"):
            raise ValueError(f"train.penalty is l1 or l2; found {penalty!r}")
        check_strengths(strengths)
        self.penalty, self.strengths, self.feature = penalty, strengths, feature

    def candidates(self, x: np.ndarray, y: np.ndarray, data: Dataset) -> Iterator[tuple[dict[str, float], Candidate]]:
        taken = self.taken(data)
        solver = {"solver": "lbfgs", "l1_ratio": 0.0}
        if self.penalty == "l1":  # this solver penalises the bias divided by the scaling: hardly at all
            solver = {"solver": "liblinear", "l1_ratio": 1.0, "intercept_scaling": 1e3}
        for strength in self.strengths:
            model = LogisticRegression(C=1 / strength, max_iter=1000, random_state=0, **solver)
            yield {"strength": strength}, model.fit(x * taken, y)

    def taken(self, data: Dataset) -> np.ndarray:
        """1 for each feature that the model may use, else 0, (F,)."""
        if self.feature is None:
            return np.ones(data.train.x[0].numel())
        found = np.array([name.lower() == self.feature.lower() for name in data.features])
        if found.sum() != 1:
            raise ValueError(f"train.feature is a feature of {data.name}; found {self.feature!r}")
        return found.astype(np.float64)

    def keep(self, candidate: Any, model: nn.Module) -> None:
        into_linear(candidate, model)


class Boosting(Classical):
    """Gradient-boosted trees into model=trees: of the rising numbers `trees` the one that validation likes best."""

    def __init__(self, trees: Sequence[int], learning_rate: float, min_samples_leaf: int) -> None:
        self.trees, self.learning_rate, self.min_samples_leaf = trees, learning_rate, min_samples_leaf

    def candidates(self, x: np.ndarray, y: np.ndarray, data: Dataset) -> Iterator[tuple[dict[str, float], Candidate]]:
        settings = {"learning_rate": self.learning_rate, "min_samples_leaf": self.min_samples_leaf}
        model = HistGradientBoostingClassifier(**settings, warm_start=True, early_stopping=False, random_state=0)
        for count in self.trees:
            yield {"trees": count}, model.set_params(max_iter=count).fit(x, y)

    def keep(self, candidate: Any, model: nn.Module) -> None:
        if not isinstance(model, Trees):
            raise ValueError(f"train=boosting is for model=trees; found {type(model).__name__}")
        model.learn(candidate)
