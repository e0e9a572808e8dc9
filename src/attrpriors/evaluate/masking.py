"""MASKING: what becomes of the model's score when the features that an attribution puts first are kept, or removed.

The benchmark of the SHAP package (Lundberg et al. 2020) as Erion et al. 2021 use it (arXiv 1906.10670, Table 1): keep
or remove the features of positive, negative or absolute attribution, and fill in the others with their mean, a
resampled row, or an imputed value: 18 metrics, each the area under a curve over the number of features.

Letters: N test rows, F features, C counts of features, R background rows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn import metrics
from sklearn.utils import resample
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..attribution import Attribution
from ..build import complete
from ..data import Dataset
from ..record import Row
from . import completeness_error, performance, scores_of

SIGNS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "positive": torch.clone,
    "negative": torch.neg,
    "absolute": torch.abs,
}
RESAMPLED = 100  # rows that stand in for what is hidden
TIES = 1e-6  # what decides between features of equal attribution
RIDGE = 1e-6  # added to the variances, so that the covariance of what is visible has an inverse

# (model, x (N, F), place (N, F), seen (C, N)) -> scores (C, N): the features with place < seen are shown
Fill = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


@dataclass
class Masking:
    """The 18 metrics of each of `methods`, on all test rows of a regression.

    Every method draws the same numbers, so that one method more moves no other.
    """

    methods: Mapping[str, Callable[..., Attribution]]
    seed: int  # of the background rows: number of the split
    generator: torch.Generator

    def __call__(self, model: nn.Module, data: Dataset) -> tuple[list[Row], dict[str, np.ndarray]]:
        if data.output != "regression" or len(data.shape) != 1:
            raise ValueError(
                f"masking needs a regression on a table; {data.name} has the output {data.output} "
                f"and features of shape {data.shape}"
            )
        test, start = data.test, int(torch.randint(2**62, (), generator=self.generator))
        ties = TIES * torch.rand(data.shape, generator=self.generator).to(test.x)  # (F,)
        masks = fills(data, background(data, self.seed))
        r2 = dict(performance(scores_of(model, test.x), test, data.output))["r2"]
        rows: list[Row] = []
        for name, method in self.methods.items():
            draws = torch.Generator().manual_seed(start)
            with torch.no_grad():
                phi = complete(method, background=data.train.x, generator=draws)(model, test.x, test.y)  # (N, F)
            measured = [*areas(model, test.x, test.y, phi, masks, ties), ("r2", r2)]
            if data.truth is not None:
                found = metrics.average_precision_score(data.truth.cpu(), phi.abs().mean(0).cpu())
                measured += [("truth_average_precision", float(found))]
            measured += [("completeness_error", completeness_error(model, test.x, test.y, phi, data.train.x))]
            rows += [(metric, value, {"explain": name}) for metric, value in measured]
        return rows, {}


def counts(features: int) -> np.ndarray:
    """How many features are kept or removed (C,): eleven steps from none to all, closer together where few are."""
    return np.unique(np.round(features * (np.logspace(0, 1, 11) - 1) / 9).astype(int))


def areas(
    model: nn.Module, x: Tensor, y: Tensor, phi: Tensor, masks: Mapping[str, Fill], ties: Tensor
) -> Iterator[tuple[str, float]]:
    """(metric, value) of the 18 metrics, x and phi (N, F), y (N,), ties (F,).

    The curves of signed attributions are of the mean score, of absolute ones of R2: both turned so that higher is
    better, R2 of what is left after a removal into 1 - R2. Of a sign no more features count than have it.
    """
    features = x.shape[1]
    steps = counts(features)
    for sign, signed in SIGNS.items():
        value = signed(phi)
        rank = (ties - value).argsort(1).argsort(1)  # (N, F), 0 for the first
        count = torch.tensor(steps).to(rank)[:, None].minimum((value >= 0).sum(1))  # (C, N)
        # what is left after the first are removed: the first in the opposite order
        for kind, place, seen in (("keep", rank, count), ("remove", features - 1 - rank, features - count)):
            for name, fill in masks.items():
                curve = summary(fill(model, x, place, seen), y, sign, kind)
                yield f"{kind}/mask={sign}_{name}", float(metrics.auc(steps, curve) / steps[-1])


def summary(scores: Tensor, y: Tensor, sign: str, kind: str) -> np.ndarray:
    """The points (C,) of one curve, from scores (C, N) and y (N,)."""
    scores, y = scores.double().cpu(), y.double().cpu()
    if sign == "absolute":
        unexplained = (scores - y).square().sum(1) / (y - y.mean()).square().sum()  # 1 - R2
        return (1 - unexplained if kind == "keep" else unexplained).numpy()
    mean = scores.mean(1)
    return (mean if (kind == "keep") == (sign == "positive") else -mean).numpy()


def background(data: Dataset, seed: int) -> Tensor:
    """Rows (R, F) as the SHAP package draws them: with replacement, from as many first training rows as are tested."""
    rows = resample(np.arange(min(len(data.test), len(data.train))), n_samples=RESAMPLED, random_state=seed)
    return data.train.x[torch.from_numpy(rows).to(data.train.x.device)]


def fills(data: Dataset, background: Tensor) -> dict[str, Fill]:
    """The ways to fill in what is hidden: training means, rows of `background` (R, F), the likeliest values."""
    train = data.train.x.double()
    mean = train.mean(0)
    covariance = train.T.cov() + RIDGE * torch.eye(len(mean)).to(train)

    def means(model: nn.Module, x: Tensor, place: Tensor, seen: Tensor) -> Tensor:
        return scored(model, torch.where(place < seen[..., None], x, mean.to(x)))

    def rows(model: nn.Module, x: Tensor, place: Tensor, seen: Tensor) -> Tensor:
        parts = [(place < count[:, None])[:, None] for count in seen]  # one count at a time fits the processor's cache
        return torch.stack([scored(model, torch.where(part, x[:, None], background)).mean(1) for part in parts])

    def likeliest(model: nn.Module, x: Tensor, place: Tensor, seen: Tensor) -> Tensor:
        return scored(model, conditional_mean(x.double() - mean, covariance, place, seen).add(mean).to(x))

    return {"mean": means, "resample": rows, "impute": likeliest}


def conditional_mean(x: Tensor, covariance: Tensor, place: Tensor, seen: Tensor) -> Tensor:
    """Means (C, N, F) of normal features, of mean zero, given those of x (N, F) that are seen (see Fill).

    With the features of a row in the order in which they are shown, covariance = L L^T and x = L z, the mean given the
    first c is the sum over j < c of L_ij z_j: x_i itself where i < c.
    """
    order = place.argsort(1)
    lower = torch.linalg.cholesky(covariance[order[:, :, None], order[:, None]])  # (N, F, F)
    z = torch.linalg.solve_triangular(lower, x.gather(1, order)[..., None], upper=False)  # (N, F, 1)
    sums = F.pad((lower * z.mT).cumsum(2), (1, 0))  # (N, F, F + 1): by number of features seen
    chosen = sums.gather(2, seen.T[:, None].expand(-1, x.shape[1], -1))  # (N, F, C)
    return chosen.gather(1, place[..., None].expand_as(chosen)).permute(2, 0, 1)


def scored(model: nn.Module, x: Tensor) -> Tensor:
    """The one score of rows x (A, B, F), as (A, B)."""
    return scores_of(model, x.flatten(0, 1)).reshape(x.shape[:2])
