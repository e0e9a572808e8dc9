"""GRAPH PENALTY: what stands beside prior.graph_variation: other norms of the same attributions, and graph LASSO.

p is the mean |phi| of each feature, d its degree, the sum of its edges' weights.
Letters: B batch, F features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .data import Dataset, Graph
from .prior import WeightPrior


def graph_of(data: Dataset) -> Graph:
    """ValueError where the data set has none."""
    if data.graph is None:
        raise ValueError(f"this prior needs a data set with a graph between its features; {data.name} has none")
    return data.graph


def degrees(graph: Graph, features: int) -> Tensor:
    """d (F,), 0 for a feature without an edge."""
    zeros = torch.zeros(features, device=graph.weight.device)
    return zeros.index_add(0, graph.edges.flatten(), graph.weight.repeat(2))


def normalised_graph_variation(phi: Tensor, data: Dataset) -> Tensor:
    """sum over edges of W_ij (p_i / sqrt(d_i) - p_j / sqrt(d_j))^2 = p^T D^-1/2 L D^-1/2 p: hubs weigh no more.

    Shapes: phi (B, F) -> a scalar. Unit: that of phi, squared. Errors: ValueError where the data set has no graph.
    """
    graph = graph_of(data)
    p, d = phi.abs().mean(0), degrees(graph, phi.shape[1])
    one, other = (p[end] / d[end].sqrt() for end in graph.edges)  # (E,)
    return (graph.weight * (one - other).square()).sum()


def degree_weighted(phi: Tensor, data: Dataset) -> Tensor:
    """sum_i d_i p_i^2: graph_variation without its products of neighbours, a control that knows no edge.

    Shapes: phi (B, F) -> a scalar. Unit: that of phi, squared. Errors: ValueError where the data set has no graph.
    """
    return (degrees(graph_of(data), phi.shape[1]) * phi.abs().mean(0).square()).sum()


def squared_attribution(phi: Tensor, data: Dataset) -> Tensor:
    """sum_i p_i^2 over the features of the group "gene", or over all where there is none: degree_weighted of equal d.

    Shapes: phi (B, F) -> a scalar. Unit: that of phi, squared.
    """
    p = phi.abs().mean(0)
    return p[list(data.groups.get("gene", range(len(p))))].square().sum()


def graph_lasso(weight: float, smoothness: float, data: Dataset) -> WeightPrior:
    """weight * (sum |w| + smoothness * sum over edges of W_ij (w_i - w_j)^2), w the weights of the first layer.

    Of model=linear, the graph LASSO: the mean squared error + weight |w|_1 + nu w^T L w, nu = weight * smoothness.
    Errors: ValueError where the data set has no graph. Source: Erion et al. 2021 (arXiv 1906.10670, Methods 5).
    """
    graph = graph_of(data)
    one, other = graph.edges

    def penalty(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
        w = weights[0]  # (*M, out, F)
        roughness = (graph.weight * (w[..., one] - w[..., other]).square()).sum((-2, -1))
        return w.abs().sum((-2, -1)) + smoothness * roughness

    return WeightPrior(weight, penalty, "first", graph)
