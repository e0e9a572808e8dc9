"""Networks on which axioms are measured: made from a trained one, and of closed form.

ReLUs are modules, one for each place, so that methods which hook into them find every one.
Letters: B batch, M rows explained, N rows of the background, *F features, C the first axis of a row, O outputs.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ...attribution.gradient import select
from .. import scores_of

CANDIDATES = 64  # features of which the one that moves the score most is changed alone


def score(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The explained score of each row (M,)."""
    return select(scores_of(model, x), y)


@dataclass(frozen=True)
class Case:
    """A network, another one of the same function, and what to explain with which references. The baseline is zero."""

    model: nn.Module  # x (B, *F) -> scores (B, O)
    equal: nn.Module  # the same function, another graph
    x: Tensor  # (M, *F)
    y: Tensor  # (M,) the explained score
    background: Tensor  # (N, *F)

    @cached_property
    def changes(self) -> Tensor:
        """f(x) less the score at zero, at the mean row and, on average, at the rows of the background. (3, M)"""
        zero, mean = torch.zeros_like(self.x), self.background.mean(0).expand_as(self.x)
        rows = scores_of(self.model, self.background).mean(0, keepdim=True).expand(len(self.x), -1)
        references = [score(self.model, zero, self.y), score(self.model, mean, self.y), select(rows, self.y)]
        return score(self.model, self.x, self.y) - torch.stack(references)

    @cached_property
    def singles(self) -> tuple[Tensor, Tensor, Tensor]:
        """Zero but for one feature of x (M, *F), that feature (M,) and what it does to the score (M,).

        It is the one, of CANDIDATES evenly spaced ones, that does most.
        """
        features, row = self.x[0].numel(), torch.arange(len(self.x), device=self.x.device)
        candidates = torch.linspace(0, features - 1, min(features, CANDIDATES)).long().to(row.device)
        alone = torch.zeros(len(row), len(candidates), features).to(self.x)
        alone.scatter_(2, candidates.expand(len(row), -1)[..., None], self.x.flatten(1)[:, candidates, None])
        points = alone.reshape(-1, *self.x.shape[1:])
        moved = score(self.model, points, self.y.repeat_interleave(len(candidates))).reshape(len(row), -1)
        moved = moved - score(self.model, torch.zeros_like(self.x), self.y)[:, None]  # (M, candidates)
        most = moved.abs().argmax(1)
        return alone[row, most].reshape(self.x.shape), candidates[most], moved[row, most]


class Function(nn.Module):
    """A function without parameters as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Split(nn.Module):
    """ReLU(W h + b), for h >= 0, as v + ReLU(-v) of v = ReLU(W+ h + b) - W- h, where W = W+ - W-, both >= 0.

    ReLU(ReLU(p) - q) = ReLU(p - q) for q >= 0: the counter-example of arXiv 1703.01365 (appendix B) in every unit.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.raising, self.lowering = copy.deepcopy(layer), copy.deepcopy(layer)
        self.raising.weight = nn.Parameter(layer.weight.detach().relu())
        self.lowering.weight = nn.Parameter((-layer.weight.detach()).relu())
        self.lowering.bias = None
        self.inner, self.outer = nn.ReLU(), nn.ReLU()

    def forward(self, h: Tensor) -> Tensor:
        v = self.inner(self.raising(h)) - self.lowering(h)
        return v + self.outer(-v)


class Sides(nn.Module):
    """A score s as ReLU(s) - ReLU(-s)."""

    def __init__(self) -> None:
        super().__init__()
        self.above, self.below = nn.ReLU(), nn.ReLU()

    def forward(self, s: Tensor) -> Tensor:
        return self.above(s) - self.below(-s)


class Both(nn.Module):
    """A single score s -> the scores s and ReLU(s)."""

    def __init__(self) -> None:
        super().__init__()
        self.above = nn.ReLU()

    def forward(self, s: Tensor) -> Tensor:
        s = s.reshape(len(s), 1)
        return torch.cat([s, self.above(s)], 1)


def rewritten(model: nn.Module) -> nn.Module:
    """The same function in another graph: norms folded, layers behind a ReLU split, scores by their two sides.

    Of a network that is no plain Sequential, the scores alone are rewritten.
    """
    layers = folded(model) if isinstance(model, nn.Sequential) else [copy.deepcopy(model)]
    graph: list[nn.Module] = []
    positive = False  # is what reaches the layer >= 0?
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if positive and isinstance(layer, nn.Linear | nn.Conv2d) and isinstance(after, nn.ReLU):
            graph.append(Split(layer))
        elif not (isinstance(layer, nn.ReLU) and graph and isinstance(graph[-1], Split)):  # which has its own
            graph.append(layer)
        kept = isinstance(layer, nn.MaxPool2d | nn.AdaptiveMaxPool2d | nn.AvgPool2d | nn.Flatten | nn.Dropout)
        positive = isinstance(layer, nn.ReLU) or (positive and kept)
    return nn.Sequential(*graph, Sides())


def folded(model: nn.Sequential) -> list[nn.Module]:
    """Copies of the layers, with every BatchNorm made part of the layer before it."""
    layers: list[nn.Module] = []
    for layer in copy.deepcopy(model).eval():
        if isinstance(layer, nn.BatchNorm2d) and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(layers[-1], nn.Linear):
            layers[-1] = fuse_linear_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    return layers


def behind(function: Callable[[Tensor], Tensor], model: nn.Module) -> nn.Module:
    """x -> model(function(x))."""
    return nn.Sequential(Function(function), model)


def affine(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    layer.weight, layer.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
    return layer


def counter_example() -> Case:
    """f = ReLU(ReLU(x1) - 1 - ReLU(x2)) and g = ReLU(ReLU(x1 - 1) - ReLU(x2)) (arXiv 1703.01365, appendix B).

    Equal as functions. At (3, 1), the first row, integrated gradients from zero are (1.5, -0.5) on both.
    """
    same, last = [[1.0, 0.0], [0.0, 1.0]], [[1.0, -1.0]]
    f = nn.Sequential(affine(same, [0.0, 0.0]), nn.ReLU(), affine(last, [-1.0]), nn.ReLU())
    g = nn.Sequential(affine(same, [-1.0, 0.0]), nn.ReLU(), affine(last, [0.0]), nn.ReLU())
    x = torch.tensor([[3.0, 1.0], [4.0, 1.0], [5.0, 2.0]])
    return Case(f, g, x, torch.zeros(3, dtype=torch.int64), torch.zeros(1, 2))


def saturated() -> Case:
    """f = 1 - ReLU(1 - x1) at x1 = 2, where its gradient is zero (arXiv 1703.01365, section 2.1); x2 is not used."""
    f = nn.Sequential(affine([[-1.0, 0.0]], [1.0]), nn.ReLU(), affine([[-1.0]], [1.0]))
    return Case(f, f, torch.tensor([[2.0, 0.0]]), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 2))
