"""ATTRIBUTION: attribution(model, x, y) -> phi, shaped like x.

Where autograd is on, phi can be trained through; under `torch.no_grad()` it is plain numbers in bounded memory.
`y` says which score is explained: with several scores the class y (N integers), or the predicted class where
y is None; with one score, shaped (B,) or (B, 1), that score, whatever y is. The model is run in eval mode and
given back as it was, so that no layer mixes examples.

Letters: B batch, K references or steps of a path, N rows of the background, *F features, O scores.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from .derivative import Exact

Rule = Literal["left", "right", "trapezoid", "gauss_legendre"]


class Attribution(Protocol):
    """What the other rooms ask of an attribution."""

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor: ...


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; each module's own mode is restored."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def select(scores: Tensor, y: Tensor | None) -> Tensor:
    """The explained score of each row: scores (B,), (B, 1) or (B, O) -> (B,)."""
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):
        return scores.reshape(-1)
    if scores.ndim != 2:
        raise ValueError(f"a model gives scores shaped (B,) or (B, O), found {tuple(scores.shape)}")
    if y is None:
        return scores.max(1).values
    if y.is_floating_point() or y.min() < 0 or y.max() >= scores.shape[1]:
        raise ValueError(
            f"y holds the class to explain, an integer from 0 to {scores.shape[1] - 1}; "
            f"found {y.dtype} from {y.min().item()} to {y.max().item()}"
        )
    return scores.gather(1, y[:, None]).squeeze(1)


def target(model: nn.Module, x: Tensor, y: Tensor | None) -> Tensor | None:
    """The class to explain all along a path: y itself, or the class predicted at x, None for a single score."""
    if y is not None:
        return y
    with torch.no_grad(), evaluating(model):
        scores = model(x)
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


def path_gradient(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None,
    background: Tensor,
    index: Tensor,
    alpha: Tensor,
    weight: Tensor,
    chunk: int,
) -> Tensor:
    """sum_k weight_k (x - r_k) * d score / d point, at point = r_k + alpha_k (x - r_k), r_k = background[index_k].

    x (B, *F), background (N, *F), index, alpha, weight (B, K) -> (B, *F).
    Without a graph to keep, at most `chunk` points are held at once.
    """
    rows, steps = index.shape
    if torch.is_grad_enabled():
        return _path_block(model, x, y, background[index], alpha, weight)
    phi = torch.zeros_like(x)
    for row in torch.arange(rows).split(chunk):
        part = slice(int(row[0]), int(row[-1]) + 1)
        for k in torch.arange(steps).split(max(1, chunk // len(row))):
            block = (part, slice(int(k[0]), int(k[-1]) + 1))
            target_part = None if y is None else y[part]
            reference = background[index[block]]
            phi[part] += _path_block(model, x[part], target_part, reference, alpha[block], weight[block])
    return phi


def _path_block(
    model: nn.Module, x: Tensor, y: Tensor | None, reference: Tensor, alpha: Tensor, weight: Tensor
) -> Tensor:
    ones = (1,) * (x.ndim - 1)
    delta = x[:, None] - reference  # (B, K, *F)
    points = (reference + alpha.reshape(*alpha.shape, *ones) * delta).flatten(0, 1)  # (B*K, *F)
    y = None if y is None else y.repeat_interleave(alpha.shape[1])  # (B*K,)
    slope = gradient(model, points, y).reshape(delta.shape)  # (B, K, *F)
    return (weight.reshape(*weight.shape, *ones) * delta * slope).sum(1)


class Gradient:
    """phi = d score / d x (Simonyan et al. 2014)."""

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        return gradient(model, x, target(model, x, y))


class InputXGradient:
    """phi = x * d score / d x (Shrikumar et al. 2016)."""

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x * gradient(model, x, target(model, x, y))


def quadrature(rule: Rule, steps: int) -> tuple[Tensor, Tensor]:
    """Nodes in [0, 1] and weights that sum to one, each (steps,)."""
    even = np.full(steps, 1 / steps)
    rules = {
        "left": lambda: (np.arange(steps) / steps, even),
        "right": lambda: (np.arange(1, steps + 1) / steps, even),
        "trapezoid": lambda: (
            np.linspace(0, 1, steps),
            np.convolve(np.full(steps - 1, 1 / (steps - 1)), [0.5, 0.5]),
        ),
        "gauss_legendre": lambda: tuple(
            v / 2 + s for v, s in zip(np.polynomial.legendre.leggauss(steps), (0.5, 0), strict=True)
        ),
    }
    if rule not in rules:
        raise ValueError(f"rule is one of {', '.join(rules)}; found {rule!r}")
    if steps < 1 + (rule == "trapezoid"):
        raise ValueError(f"{rule} needs {1 + (rule == 'trapezoid')} steps or more, found {steps}")
    nodes, weights = rules[rule]()
    return torch.tensor(nodes, dtype=torch.float32), torch.tensor(weights, dtype=torch.float32)


class IntegratedGradients:
    """phi_i = (x_i - b_i) * integral over alpha of d score / d x_i at b + alpha (x - b), b the baseline.

    Sundararajan, Taly, Yan 2017 (arXiv 1703.01365, eq. 1). `baseline`: a number or a tensor that broadcasts to one row.
    """

    def __init__(
        self, baseline: float | Tensor = 0.0, steps: int = 50, rule: Rule = "gauss_legendre", chunk: int = 512
    ) -> None:
        self.baseline, self.chunk = torch.as_tensor(baseline, dtype=torch.float32), chunk
        self.nodes, self.weights = quadrature(rule, steps)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        try:
            baseline = self.baseline.to(x).expand(1, *x.shape[1:])
        except RuntimeError as error:
            raise ValueError(
                f"the baseline is shaped {tuple(self.baseline.shape)}, a row of x {tuple(x.shape[1:])}"
            ) from error
        alpha, weight = (v.to(x).expand(len(x), -1) for v in (self.nodes, self.weights))
        index = torch.zeros(alpha.shape, dtype=torch.int64, device=x.device)
        return path_gradient(model, x, target(model, x, y), baseline, index, alpha, weight, self.chunk)


class ExpectedGradients:
    """phi_i = E over references r and alpha of (x_i - r_i) * d score / d x_i at r + alpha (x - r).

    Erion et al. 2021 (arXiv 1906.10670, sec. 2.1): the references are rows of `background` (N, *F), alpha is uniform in
    [0, 1], k independent pairs are averaged for each row of x. The draws come from `generator` (a CPU generator).
    """

    def __init__(
        self, background: Tensor, k: int = 1, generator: torch.Generator | None = None, chunk: int = 512
    ) -> None:
        if k < 1:
            raise ValueError(f"k, the number of references of a row, is 1 or more; found {k}")
        self.background, self.k, self.chunk = background, k, chunk
        self.generator = generator or torch.Generator().manual_seed(0)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        if x.shape[1:] != self.background.shape[1:]:
            raise ValueError(
                f"a row of x is shaped {tuple(x.shape[1:])}, of the background {tuple(self.background.shape[1:])}"
            )
        draws = (len(x), self.k)
        index = torch.randint(len(self.background), draws, generator=self.generator).to(x.device)
        alpha = torch.rand(draws, generator=self.generator).to(x)
        weight = torch.full_like(alpha, 1 / self.k)
        return path_gradient(model, x, target(model, x, y), self.background, index, alpha, weight, self.chunk)
