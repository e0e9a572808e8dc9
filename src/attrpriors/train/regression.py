"""REGRESSION: linear models of scikit-learn beside the networks, of all drugs at once or of each drug alone.

Letters: N rows, F features, D drugs, G genes, S strengths.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import Ridge, enet_path
from torch import nn

from ..data import Dataset
from ..drug_model import DrugModel, parts
from .classical import Candidate, Classical, check_strengths, into_linear


class Affine(NamedTuple):
    """x @ coef + intercept, named as scikit-learn does."""

    coef_: np.ndarray  # (1, F)
    intercept_: np.ndarray  # (1,)

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return x @ self.coef_[0] + self.intercept_[0]


class OfEachDrug(NamedTuple):
    """coef[drug] . genes + intercept[drug]."""

    coef: np.ndarray  # (D, G)
    intercept: np.ndarray  # (D,)

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        drug, genes = x[:, : len(self.coef)].argmax(1), x[:, len(self.coef) :]
        return np.einsum("ng,ng->n", self.coef[drug], genes) + self.intercept[drug]


class Regression(Classical):
    """Squared error into model=linear: mean of (y - x w)^2 / 2 + strength * (l1 |w|_1 + (1 - l1) |w|^2 / 2).

    l1_ratio: 0 is ridge, 1 LASSO, between them the elastic net. The intercept is free.
    """

    output = "regression"

    def __init__(self, l1_ratio: float, strengths: Sequence[float]) -> None:
        if not 0 <= l1_ratio <= 1:
            raise ValueError(f"train.l1_ratio is from 0 (ridge) to 1 (LASSO); found {l1_ratio!r}")
        check_strengths(strengths)
        self.l1_ratio, self.strengths = l1_ratio, strengths

    def candidates(self, x: np.ndarray, y: np.ndarray, data: Dataset) -> Iterator[tuple[dict[str, float], Candidate]]:
        centre, level = x.mean(0), y.mean()
        rows, target = compressed(x, y)
        for strength in self.strengths:
            coef = self.solved(rows, target, strength)
            yield {"strength": strength}, Affine(coef[None], np.array([level - centre @ coef]))

    def solved(self, rows: np.ndarray, target: np.ndarray, strength: float) -> np.ndarray:
        """w (F,)."""
        if self.l1_ratio == 0:
            found: np.ndarray = Ridge(strength * len(rows), fit_intercept=False).fit(rows, target).coef_
            return found
        _, coef, _ = enet_path(rows, target, l1_ratio=self.l1_ratio, alphas=[strength], max_iter=5000)
        return coef[:, 0]

    def keep(self, candidate: Any, model: nn.Module) -> None:
        into_linear(candidate, model)


def compressed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F rows r and targets t with mean (t - r w)^2 = mean (y - x w)^2 + a constant, for every w; x and y centred.

    With the eigenvectors v and eigenvalues l of x'x / N, r'r / F is the same matrix: the fits are the same, in the
    time of F rows.
    """
    x, y = x - x.mean(0), y - y.mean()
    value, vector = np.linalg.eigh(x.T @ x / len(x))
    held = value > 1e-10 * value[-1]
    vector, root = vector[:, held], np.sqrt(value[held])
    rows = root[:, None] * vector.T
    target = (vector.T @ (x.T @ y / len(x))) / root
    return np.sqrt(len(rows)) * rows, np.sqrt(len(rows)) * target


class PerDrug(Classical):
    """Ridge of the genes for each drug alone, into model=per_drug: one strength for all drugs.

    Of each drug mean of (y - x w)^2 / 2 + strength * |w|^2 / 2; a drug without training rows scores 0.
    """

    output = "regression"

    def __init__(self, strengths: Sequence[float]) -> None:
        check_strengths(strengths)
        self.strengths = strengths

    def candidates(self, x: np.ndarray, y: np.ndarray, data: Dataset) -> Iterator[tuple[dict[str, float], Candidate]]:
        drugs, genes, _ = parts(data)
        coef, intercept = np.zeros((len(self.strengths), drugs, genes)), np.zeros((len(self.strengths), drugs))
        drug = x[:, :drugs].argmax(1)
        for number in np.unique(drug):
            own = drug == number
            targets = np.repeat(y[own, None], len(self.strengths), axis=1)  # (N, S): one decomposition for all
            strengths = np.asarray(self.strengths) * own.sum()
            ridge = Ridge(strengths, solver="cholesky").fit(x[own, drugs:], targets)
            coef[:, number], intercept[:, number] = ridge.coef_, ridge.intercept_
        for strength, *fitted in zip(self.strengths, coef, intercept, strict=True):
            yield {"strength": strength}, OfEachDrug(*fitted)

    def keep(self, candidate: Any, model: nn.Module) -> None:
        if not isinstance(model, DrugModel) or not isinstance(model.body, nn.Identity):
            raise ValueError(f"train=per_drug_ridge is for model=per_drug; found {type(model).__name__}")
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(candidate.coef.T))
            model.bias.weight.copy_(torch.from_numpy(candidate.intercept[None]))
