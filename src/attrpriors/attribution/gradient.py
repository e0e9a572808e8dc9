"""The input gradient of one score of a model.

Letters: B batch, *F features, O scores.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from .derivative import Exact


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; each module's own mode is restored."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def select(scores: Tensor, y: Tensor | None) -> Tensor:
    """The explained score of each row: scores (B,), (B, 1) or (B, O) -> (B,)."""
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):
        return scores.reshape(-1)
    if scores.ndim != 2 or y is None:
        raise ValueError(f"a model gives scores shaped (B,) or (B, O), found {tuple(scores.shape)}")
    if y.ndim != 1 or y.is_floating_point() or y.min() < 0 or y.max() >= scores.shape[1]:
        raise ValueError(
            f"y holds the class to explain, for each row an integer from 0 to {scores.shape[1] - 1}; "
            f"found {y.dtype} in {y.ndim} dimensions from {y.min().item()} to {y.max().item()}"
        )
    return scores.gather(1, y.long()[:, None]).squeeze(1)


def at_least_one(**settings: int) -> None:
    """ValueError where a setting is no whole number of 1 or more."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is a whole number, 1 or more; found {value!r}")


def target(model: nn.Module, x: Tensor, y: Tensor | None, chunk: int | None = None) -> Tensor | None:
    """The class to explain all along a path: y, or the class predicted at x; None for a single score."""
    if y is not None:
        if y.shape[:1] != x.shape[:1]:
            raise ValueError(f"y has an entry for each of the {len(x)} rows of x; found the shape {tuple(y.shape)}")
        return y
    with torch.no_grad(), evaluating(model):
        scores = torch.cat([model(part) for part in x.split(chunk or len(x))])
    return scores.argmax(1) if scores.ndim == 2 and scores.shape[1] > 1 else None


def gradient(model: nn.Module, points: Tensor, y: Tensor | None) -> Tensor:
    """d score / d points, shaped like points; with a graph to the parameters where autograd is on."""
    trainable = torch.is_grad_enabled()
    points = points if points.requires_grad else points.detach().requires_grad_()
    with torch.enable_grad(), evaluating(model):
        exact = Exact()
        with exact if trainable else nullcontext():
            score = select(model(points), y).sum()
        if not score.requires_grad:
            raise ValueError("the model's score does not depend on its input: there is nothing to explain")
        exact.explaining = True
        (slope,) = torch.autograd.grad(score, points, create_graph=trainable, materialize_grads=True)
        exact.explaining = False
    return slope


class Gradient:
    """phi = d score / d x.

    Shapes: x and phi (B, *F). Unit: score per unit of x. Errors: ValueError where y names no score of the model.
    Source: Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034, sec. 3).
    """

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        return gradient(model, x, target(model, x, y))


class InputXGradient:
    """phi = x * d score / d x.

    Shapes: x and phi (B, *F). Unit: score. Errors: ValueError where y names no score of the model.
    Source: Shrikumar, Greenside, Shcherbina, Kundaje 2016 (arXiv 1605.01713, sec. 2).
    """

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x * gradient(model, x, target(model, x, y))
