"""Penalties beside graph_variation, against matrices."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attrpriors.data import Dataset
from attrpriors.graph_penalty import (
    degree_weighted,
    graph_lasso,
    normalised_graph_variation,
    squared_attribution,
)
from attrpriors.model import linear
from attrpriors.prior import WeightPrior, graph_variation

PHI = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def adjacency(data: Dataset) -> Tensor:
    """W (F, F), symmetric."""
    assert data.graph is not None
    full = torch.zeros(5, 5)
    full[tuple(data.graph.edges)] = data.graph.weight
    return full + full.T


def test_the_normalised_variation_is_a_form_of_the_normalised_laplacian(regression: Dataset) -> None:
    w, p = adjacency(regression), PHI.abs().mean(0)
    root = torch.where(w.sum(0) > 0, w.sum(0), 1).rsqrt() * (w.sum(0) > 0)
    laplacian = torch.diag((w.sum(0) > 0).float()) - root[:, None] * w * root
    assert normalised_graph_variation(PHI, regression) == pytest.approx(float(p @ laplacian @ p), rel=1e-5)


def test_the_degrees_are_what_the_variation_is_without_its_edges(regression: Dataset) -> None:
    w, p = adjacency(regression), PHI.abs().mean(0)
    degrees = degree_weighted(PHI, regression)
    assert degrees == pytest.approx(float((w.sum(0) * p.square()).sum()))
    assert graph_variation(PHI, regression) == pytest.approx(float(degrees - p @ w @ p), rel=1e-5)


def test_squared_attributions_are_of_the_genes_or_of_all_features(regression: Dataset) -> None:
    p = PHI.abs().mean(0)
    assert squared_attribution(PHI, regression) == pytest.approx(float(p[2:].square().sum()))
    assert squared_attribution(PHI, replace(regression, groups={})) == pytest.approx(float(p.square().sum()))


def test_a_feature_without_an_edge_has_a_finite_gradient(regression: Dataset) -> None:
    phi = PHI.clone().requires_grad_()
    normalised_graph_variation(phi, regression).backward()
    assert phi.grad is not None
    assert torch.isfinite(phi.grad).all()
    assert (phi.grad[:, :2] == 0).all()


def test_graph_lasso_is_l1_and_the_laplacian_form_of_the_weights_with_their_signs(regression: Dataset) -> None:
    model, prior = linear(regression), graph_lasso(0.5, 3.0, regression)
    w = model[1].weight[0].detach()  # type: ignore[index, union-attr]
    matrix = adjacency(regression)
    form = w @ (torch.diag(matrix.sum(0)) - matrix) @ w
    penalty = prior(model, regression.train.x, regression.train.y)
    assert prior.weight == 0.5
    assert penalty.item() == pytest.approx(float(w.abs().sum() + 3 * form), rel=1e-5)


def test_an_ensemble_has_a_graph_lasso_of_one_graph_alone(regression: Dataset) -> None:
    assert regression.graph is not None
    other = replace(regression, graph=replace(regression.graph, weight=2 * regression.graph.weight))
    same, different = graph_lasso(0.1, 3.0, regression), graph_lasso(0.5, 3.0, other)
    WeightPrior.of_members([same, graph_lasso(0.5, 3.0, regression)])
    with pytest.raises(ValueError, match="trains graph_lasso on one graph"):
        WeightPrior.of_members([same, different])


@pytest.mark.parametrize("penalty", [normalised_graph_variation, degree_weighted])
def test_a_data_set_without_a_graph_is_refused(penalty: object, binary: Dataset) -> None:
    with pytest.raises(ValueError, match="needs a data set with a graph between its features; binary has none"):
        penalty(PHI, binary)  # type: ignore[operator]
    with pytest.raises(ValueError, match="binary has none"):
        graph_lasso(1.0, 1.0, binary)
