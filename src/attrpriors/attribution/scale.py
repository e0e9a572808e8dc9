"""Attributions on another scale than the score's: of the probability, of log-probabilities.

Letters: B batch, O scores. One score is the log-odds of the second of two outcomes, several are those before softmax.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..build import complete


def probability(scores: Tensor) -> Tensor:
    """Of each outcome."""
    return scores.softmax(1) if several(scores) else scores.sigmoid()


def log_probability(scores: Tensor) -> Tensor:
    """Of each outcome; of one score, of the second."""
    return F.log_softmax(scores, 1) if several(scores) else F.logsigmoid(scores)


def log_likelihood(scores: Tensor) -> Tensor:
    """Of each outcome, of one score of both, (B, O) or (B, 2): a row's own is minus its loss."""
    if several(scores):
        return F.log_softmax(scores, 1)
    return F.logsigmoid(scores.reshape(-1, 1) * scores.new_tensor([-1.0, 1.0]))


def log_probabilities(scores: Tensor) -> Tensor:
    """Summed over all outcomes, shaped (B, 1): of one score z, 2 log sigmoid(z) - z."""
    if several(scores):
        return F.log_softmax(scores, 1).sum(1, keepdim=True)
    return 2 * F.logsigmoid(scores) - scores


def several(scores: Tensor) -> bool:
    return scores.ndim == 2 and scores.shape[1] > 1


SCALES = {scale.__name__: scale for scale in (probability, log_probability, log_likelihood, log_probabilities)}


class OnScale:
    """`attribution` of what `scale` makes of the scores, one of SCALES.

    The gradient of log_probabilities is what Ross et al. 2017 (arXiv 1703.03717) penalise, that of log_likelihood is
    minus the gradient of the loss. `attribution` makes the attribution, from `generator` if it draws.

    Shapes: x and phi (B, *F). Unit: of the scale, of one row. Errors: ValueError on a scale that is not one of SCALES,
    on the log_likelihood of an outcome that is no class.
    Source: the convergence demo of Erion et al. (arXiv 1906.10670), which explains probabilities.
    """

    def __init__(
        self, scale: str, attribution: Callable[..., Callable[..., Tensor]], generator: torch.Generator | None = None
    ) -> None:
        if scale not in SCALES:
            raise ValueError(f"scale is one of {', '.join(SCALES)}; found {scale!r}")
        self.scale, self.attribution = SCALES[scale], complete(attribution, generator=generator)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        if self.scale is log_likelihood and y is not None:
            if (y != y.round()).any():
                raise ValueError("log_likelihood is that of a class; found an outcome that is no whole number")
            y = y.long()
        return self.attribution(Scaled(model, self.scale), x, y)

    def around(self, attribution: Callable[..., Tensor]) -> "OnScale":
        """The same scale with another attribution, which is ready."""
        other = copy.copy(self)
        other.attribution = attribution
        return other


class Scaled(nn.Module):
    """`scale` of the model's scores."""

    def __init__(self, model: nn.Module, scale: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.model(x))
