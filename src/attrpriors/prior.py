"""PRIOR: prior(model, x, y) -> scalar. A prior is a weight, an attribution and a penalty.

A penalty is a pure function (phi, data) -> scalar: a prior minimises it, `evaluate` reports it. Only the graph
penalty reads the data set; the others are complete without one. What attribution priors are compared with, penalties
on the weights themselves, are pure functions (weights, biases) -> scalar.

Letters: B batch, C channels, H height, W width, F features, *F any shape of features, M members of an ensemble, in
and out units of a linear layer.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from .attribution import Attribution, of_members
from .data import Dataset, Graph

Penalty = Callable[[Tensor, Dataset], Tensor]
Penalties = Callable[[nn.Module, Tensor, Tensor], Tensor]  # of the members of an ensemble, (M,)
WeightPenalty = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]  # weights (out, in), biases (out,), a layer each


class Prior(Protocol):
    """What the trainer asks of a prior: the loss is task + weight * prior(model, x, y).

    Shapes: x (B, *F) and y (B,) of one step; the penalty is a scalar. Unit: weight * penalty is in that of the task's
    loss.
    """

    weight: float

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor: ...

    @staticmethod
    def of_members(priors: Sequence[Any]) -> Penalties:
        """For train=ensemble: the penalties of members that are trained together."""
        ...


class NoPrior:
    """No prior: zero.

    Shapes: x (B, *F) -> a scalar. Unit: none.
    """

    weight = 0.0

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return torch.zeros((), device=x.device)

    @staticmethod
    def of_members(priors: Sequence["NoPrior"]) -> Penalties:
        """Zero for each member of an ensemble."""
        return lambda model, x, y: torch.zeros(len(priors), device=x.device)


def check_weight(weight: float) -> None:
    """ValueError where `weight` is no strength."""
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise ValueError(f"prior.weight is a finite number, 0 or more; found {weight!r}")


class AttributionPrior:
    """Omega(Phi(theta, x)): a penalty, (phi, data) -> scalar, on the attributions of a step's rows.

    `weight` is lambda, 0 or more. The penalty is tried once on zeros, so that a data set which lacks what it needs
    is refused here, with the penalty's own sentence.

    Shapes: x (B, *F) -> a scalar. Unit: that of the penalty. Errors: ValueError on a weight that is negative or not
    finite, and as the penalty and the attribution. Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2).
    """

    def __init__(self, weight: float, penalty: Penalty, attribution: Attribution, data: Dataset) -> None:
        check_weight(weight)
        penalty(torch.zeros(1, *data.shape, device=data.train.x.device), data)
        self.weight, self.penalty, self.attribution, self.data = weight, penalty, attribution, data

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return self.penalty(self.attribution(model, x, y), self.data)

    @staticmethod
    def of_members(priors: Sequence["AttributionPrior"]) -> Penalties:
        """(model, x, y) -> penalties (M,) of an ensemble, whose members' rows are blocks of x (M*B, *F)."""
        explain = of_members([prior.attribution for prior in priors])

        def penalties(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            blocks = explain(model, x, y).unflatten(0, (len(priors), -1))  # (M, B, *F)
            return torch.stack([prior.penalty(phi, prior.data) for prior, phi in zip(priors, blocks, strict=True)])

        return penalties


class WeightPrior:
    """A penalty on the weights of a network of linear layers, all of them or the first (Methods 6).

    `weight` is lambda, 0 or more. Biases are penalised with all layers, where the penalty takes notice of them.
    `graph` is that of the penalty, if it has one: all members of an ensemble share it.
    """

    def __init__(
        self, weight: float, penalty: WeightPenalty, layers: Literal["all", "first"], graph: Graph | None = None
    ) -> None:
        check_weight(weight)
        if layers not in ("all", "first"):
            raise ValueError(f"prior.layers is all or first; found {layers!r}")
        self.weight, self.penalty, self.layers, self.graph = weight, penalty, layers, graph

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return self.of(model, axes=2)

    def of(self, model: nn.Module, axes: int) -> Tensor:
        """The penalty of a network, of axes=2, or (M,) of stacked ones, whose weights have a third axis in front."""
        found = [module for module in model.modules() if list(module.parameters(recurse=False))]
        other = [type(module).__name__ for module in found if getattr(module, "weight", torch.empty(())).ndim != axes]
        if other:
            raise ValueError(f"a penalty on weights is for networks of linear layers; found {other[0]}")
        if self.layers == "first":
            return self.penalty([found[0].weight], [])  # type: ignore[list-item]
        biases = [module.bias for module in found if module.bias is not None]
        return self.penalty([module.weight for module in found], biases)  # type: ignore[misc,arg-type]

    @staticmethod
    def of_members(priors: Sequence["WeightPrior"]) -> Penalties:
        """(model, x, y) -> penalties (M,) of an ensemble, whose members differ in `weight` alone."""
        graphs = [prior.graph for prior in priors if prior.graph is not None]
        if any(not (torch.equal(g.edges, graphs[0].edges) and torch.equal(g.weight, graphs[0].weight)) for g in graphs):
            raise ValueError("train=ensemble trains graph_lasso on one graph; found members with graphs of their own")
        return lambda model, x, y: priors[0].of(model, axes=3)


def total_variation(phi: Tensor, data: Dataset | None = None) -> Tensor:
    """Anisotropic total variation of each image's standardised attribution map, mean over images.

    Channels are summed and the map is divided by its standard deviation, so that shrinking all phi does not lower the
    penalty. (The authors' code divides by 1/sqrt(H*W) where that is larger; here the floor of 1e-6 is for maps of
    zeros alone.)

    Shapes: phi (B, C, H, W) -> a scalar. Unit: standard deviations of the map. Errors: ValueError where phi is not of
    images. Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2.3, Methods 4).
    """
    if phi.ndim != 4:
        raise ValueError(f"total_variation needs attributions of images (B, C, H, W); found {tuple(phi.shape)}")
    image = phi.sum(1)  # (B, H, W)
    variance = image.flatten(1).var(1, correction=0).clamp_min(1e-12)  # (B,)
    image = image / variance.sqrt()[:, None, None]
    return (image.diff(dim=1).abs().sum((1, 2)) + image.diff(dim=2).abs().sum((1, 2))).mean()


def graph_variation(phi: Tensor, data: Dataset) -> Tensor:
    """sum over edges of W_ij (p_i - p_j)^2 = p^T L p, p the mean |phi| of each feature.

    Shapes: phi (B, F) -> a scalar. Unit: that of phi, squared. Errors: ValueError where the data set has no graph.
    Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2.4).
    """
    if data.graph is None:
        raise ValueError(f"graph needs a data set with a graph between its features; {data.name} has none")
    p = phi.abs().mean(0)  # (F,)
    one, other = data.graph.edges
    return (data.graph.weight * (p[one] - p[other]).square()).sum()


def gini_coefficient(v: Tensor) -> Tensor:
    """Gini coefficient of v >= 0: 0 all equal, (F-1)/F a single non-zero; 0 where all are zero.

    Shapes: v (F,) -> a scalar. Unit: none, a share. Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2.5).
    """
    n = len(v)
    signs = torch.arange(1 - n, n, 2, device=v.device, dtype=v.dtype)  # 2 rank - n - 1, of the sorted values
    signs = torch.empty_like(v).scatter(0, v.detach().argsort(), signs)
    total = v.sum()
    return (signs * v).sum() / (n * (total + (total == 0)))


def gini(phi: Tensor, data: Dataset | None = None) -> Tensor:
    """Minus the Gini coefficient of the mean |phi| of each feature: the sparse prior.

    The paper's Omega_sparse is -2 G; the authors' code, its published strengths and this project use -G.

    Shapes: phi (B, *F) -> a scalar. Unit: none, a share. Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2.5).
    """
    return -gini_coefficient(phi.abs().mean(0).flatten())


def l1_attribution(phi: Tensor, data: Dataset | None = None) -> Tensor:
    """Mean |phi| over rows and features.

    Shapes: phi (B, *F) -> a scalar. Unit: that of phi. Source: l1eg of the authors' code (arXiv 1906.10670).
    """
    return phi.abs().mean()


def l2_attribution(phi: Tensor, data: Dataset | None = None) -> Tensor:
    """Euclidean norm of all attributions.

    Shapes: phi (B, *F) -> a scalar. Unit: that of phi. Source: l2eg of the authors' code (arXiv 1906.10670).
    """
    return torch.linalg.vector_norm(phi)


def squared_norm(phi: Tensor, data: Dataset | None = None) -> Tensor:
    """Squared Euclidean norm of a row's attributions, mean over rows: of gradients, double backpropagation.

    Shapes: phi (B, *F) -> a scalar. Unit: that of phi, squared. Source: Drucker and Le Cun 1992; Ross and Doshi-Velez
    2018 (arXiv 1711.09404).
    """
    return phi.square().sum() / len(phi)


def gini_l1(phi: Tensor, data: Dataset | None = None) -> Tensor:
    """Minus Gini plus mean |phi|: few features, and small attributions (the authors' gini_mixed). phi (B, *F)."""
    return gini(phi) + l1_attribution(phi)


def irrelevant_attribution(phi: Tensor, data: Dataset) -> Tensor:
    """Mean |phi| of each feature that does not matter, summed.

    Shapes: phi (B, F) -> a scalar. Unit: that of phi. Errors: ValueError where the data set does not know which
    features matter. Source: as Ross et al. 2017 (arXiv 1703.03717).
    """
    if data.truth is None:
        raise ValueError(f"irrelevant_attribution needs data that know which features matter; {data.name} does not")
    return phi.abs().mean(0)[~data.truth].sum()


def l1_weights(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Mean |W| over all weights (*M, out, in)."""
    count = sum(weight.shape[-2:].numel() for weight in weights)
    return torch.stack([weight.abs().sum((-2, -1)) for weight in weights]).sum(0) / count


def l2_weights(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Euclidean norm of all weights (*M, out, in), not squared."""
    norms = [torch.linalg.vector_norm(weight, dim=(-2, -1)) for weight in weights]
    return torch.linalg.vector_norm(torch.stack(norms), dim=0)


def sparse_group_lasso(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """sum |W| + sqrt(out) sum_i ||W_:i||, summed over layers, + 2 mean |b|: a group is what leaves one input.

    Scardapane et al. 2017 (arXiv 1607.00485), with the factors of the authors' code. weights (*M, out, in).
    """
    penalties = [
        weight.abs().sum((-2, -1)) + weight.shape[-2] ** 0.5 * torch.linalg.vector_norm(weight, dim=-2).sum(-1)
        for weight in weights
    ]
    return torch.stack([*penalties, *(2 * bias.abs().mean(-1) for bias in biases)]).sum(0)
