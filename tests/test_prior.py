from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from attrpriors.attribution import (
    Attribution,
    ExpectedGradients,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    OnScale,
)
from attrpriors.data import Dataset
from attrpriors.model import linear
from attrpriors.prior import (
    AttributionPrior,
    NoPrior,
    Penalty,
    WeightPenalty,
    WeightPrior,
    gini,
    gini_coefficient,
    gini_l1,
    graph_variation,
    l1_attribution,
    l1_weights,
    l2_attribution,
    l2_weights,
    sparse_group_lasso,
    squared_norm,
    total_variation,
)

PENALTIES = [total_variation, graph_variation, gini, gini_l1, l1_attribution, l2_attribution, squared_norm]
ATTRIBUTIONS: dict[str, Callable[[Tensor], Attribution]] = {
    "gradient": lambda background: Gradient(),
    "input_x_gradient": lambda background: InputXGradient(),
    "integrated_gradients": lambda background: IntegratedGradients(background[0], steps=4),
    "expected_gradients": lambda background: ExpectedGradients(background, 3, torch.Generator().manual_seed(2)),
}


# A penalty's gradient reaches the parameters


@pytest.mark.parametrize("activation", [nn.Softplus, nn.ReLU])  # no finite difference here crosses a kink
@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_of_a_penalty_with_respect_to_parameters_equal_finite_differences(
    penalty: Penalty, attribution: str, activation: type[nn.Module], regression: Dataset, images: Dataset
) -> None:
    data = images if penalty is total_variation else regression
    torch.manual_seed(4)
    x, y, background = data.train.x[:4].double(), data.train.y[:4], data.train.x.double()
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 4), activation(), nn.Linear(4, data.outputs)).double()

    def omega() -> Tensor:  # the generator starts anew, the draws repeat
        return 5 * AttributionPrior(1.0, penalty, ATTRIBUTIONS[attribution](background), data)(model, x, y)

    weights = [model[1].weight, model[1].bias, model[3].weight]
    gradients = torch.autograd.grad(omega(), weights, allow_unused=True, materialize_grads=True)
    for weight, gradient in zip(weights, gradients, strict=True):
        for _ in range(3):
            direction = torch.randn_like(weight)
            difference = sum(sign * moved(weight, sign * 1e-6 * direction, omega) for sign in (1, -1)) / 2e-6
            torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-5, atol=1e-6)
    assert gradients[0].abs().max() > 1e-4
    assert gradients[2].abs().max() > 1e-4


def moved(weight: nn.Parameter, step: Tensor, function: Callable[[], Tensor]) -> Tensor:
    with torch.no_grad():
        weight += step
    value = function().detach()
    with torch.no_grad():
        weight -= step
    return value


# A prior: weight, attribution, penalty


def test_a_prior_is_the_penalty_of_the_attributions(regression: Dataset) -> None:
    model, x, y = nn.Linear(5, 1), regression.train.x, regression.train.y
    prior = AttributionPrior(0.5, l1_attribution, Gradient(), regression)
    assert prior.weight == 0.5
    torch.testing.assert_close(prior(model, x, y), model.weight.abs().mean())  # unweighted: the trainer weighs


def test_no_prior_is_zero(regression: Dataset) -> None:
    assert NoPrior().weight == 0
    assert NoPrior()(nn.Linear(5, 1), regression.train.x, regression.train.y) == 0


@pytest.mark.parametrize("weight", [-1e-9, -1, float("nan"), float("inf"), -float("inf"), "0.1", True, None, [1.0]])
def test_a_weight_that_is_no_finite_number_of_0_or_more_is_refused(weight: object, regression: Dataset) -> None:
    with pytest.raises(ValueError, match=r"prior.weight is a finite number, 0 or more; found "):
        AttributionPrior(weight, l1_attribution, Gradient(), regression)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0, 0.0, 3, 1e-20])
def test_a_weight_of_0_or_more_is_kept(weight: float, regression: Dataset) -> None:
    assert AttributionPrior(weight, l1_attribution, Gradient(), regression).weight == weight


def test_a_data_set_that_lacks_what_a_penalty_needs_is_refused_at_once(binary: Dataset, images: Dataset) -> None:
    for data in (binary, images):
        with pytest.raises(ValueError, match=f"graph needs a data set with a graph .* {data.name} has none"):
            AttributionPrior(1.0, graph_variation, Gradient(), data)
    with pytest.raises(ValueError, match=r"total_variation needs attributions of images .* found \(1, 6\)"):
        AttributionPrior(1.0, total_variation, Gradient(), binary)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_attributions_of_zero_cost_nothing_and_push_nowhere(
    penalty: Penalty, regression: Dataset, images: Dataset
) -> None:
    data = images if penalty is total_variation else regression
    phi = torch.zeros(3, *data.shape, requires_grad=True)
    value = penalty(phi, data)
    value.backward()
    assert value == 0
    assert (phi.grad == 0).all()


# Penalties against values computed by hand


def test_one_feature_alone_has_the_largest_gini(binary: Dataset) -> None:
    phi = torch.tensor([[0.0, 0, 3, 0, 0, 0], [0, 0, -1, 0, 0, 0]])
    torch.testing.assert_close(gini(phi, binary), torch.tensor(-5 / 6))


def test_equal_features_have_no_gini(binary: Dataset) -> None:
    phi = torch.tensor([[2.0, -2, 2, 0, 4], [2, 2, -2, 4, 0]])
    torch.testing.assert_close(gini(phi, binary), torch.tensor(0.0))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_gini_of_one_two_three(binary: Dataset, scale: float) -> None:
    # sum over pairs |v_i - v_j| = 1 + 2 + 1 = 4, over F sum v = 18; order, sign and unit do not matter
    torch.testing.assert_close(gini(scale * torch.tensor([[2.0, -3, 1]]), binary), torch.tensor(-4 / 18))


def test_gini_is_the_mean_difference_of_the_authors_code() -> None:
    v = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    authors = 0.5 * (v[:, None] - v).abs().mean() / v.mean()
    torch.testing.assert_close(gini_coefficient(v), authors)


def test_gini_counts_all_features_of_an_image(images: Dataset) -> None:
    phi = torch.zeros(2, 1, 8, 8)
    phi[:, 0, 3, 4] = 1
    torch.testing.assert_close(gini(phi, images), torch.tensor(-63 / 64))


def test_total_variation_of_a_two_by_two_map(images: Dataset) -> None:
    phi = torch.tensor([[[[0.0, 1], [2, 3]]]])  # down 2 + 2, across 1 + 1, variance 5/4
    torch.testing.assert_close(total_variation(phi, images), torch.tensor(6 / 1.25**0.5))


def test_total_variation_of_a_three_by_three_map_sums_channels_and_averages_images(images: Dataset) -> None:
    centre = torch.zeros(1, 2, 3, 3)
    centre[0, :, 1, 1] = torch.tensor([11.0, -2.0])  # 9 in all: 4 * 9, variance 9 - 1
    edge = torch.zeros(1, 2, 3, 3)
    edge[0, 0, :, 2] = 6.0  # 3 * 6, variance 12 - 4
    expected = (36 / 8**0.5 + 18 / 8**0.5) / 2
    torch.testing.assert_close(total_variation(torch.cat([centre, edge]), images), torch.tensor(expected))


@pytest.mark.parametrize("scale", [0.5, 1e3, 1e6])
def test_total_variation_does_not_depend_on_the_unit_of_attributions(images: Dataset, scale: float) -> None:
    phi = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(total_variation(scale * phi, images), total_variation(phi, images))
    torch.testing.assert_close(total_variation(phi + 7, images), total_variation(phi, images))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_total_variation_does_not_fall_when_all_attributions_shrink(scale: float, images: Dataset) -> None:
    phi = torch.zeros(1, 2, 3, 3)
    phi[0, :, 1, 1] = 0.5 * scale  # a map with one pixel of `scale`: standard deviation scale * sqrt(8) / 9
    torch.testing.assert_close(total_variation(phi, images), torch.tensor(4 * 9 / 8**0.5))


def test_a_flat_map_has_no_total_variation(images: Dataset) -> None:
    phi = torch.full((2, 1, 4, 4), 0.3, requires_grad=True)
    value = total_variation(phi, images)
    value.backward()
    assert value == 0
    assert torch.isfinite(phi.grad).all()


def test_graph_variation_by_hand(regression: Dataset) -> None:
    phi = torch.tensor([[9.0, 9, 1, -2, 4], [9, 9, -3, 2, 0]])  # means of |phi| of the genes: 2, 2, 2
    torch.testing.assert_close(graph_variation(phi, regression), torch.tensor(0.0))
    phi = torch.tensor([[9.0, 0, 1, -4, 2]])  # 2 (1 - 4)^2 + 0.5 (4 - 2)^2
    torch.testing.assert_close(graph_variation(phi, regression), torch.tensor(20.0))


def test_graph_variation_is_the_quadratic_form_of_the_laplacian(regression: Dataset) -> None:
    weights = np.zeros((5, 5))
    weights[2, 3] = weights[3, 2] = 2.0
    weights[3, 4] = weights[4, 3] = 0.5
    laplacian = np.diag(weights.sum(0)) - weights
    phi = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    p = phi.abs().mean(0).numpy()
    np.testing.assert_allclose(graph_variation(phi, regression), p @ laplacian @ p, rtol=1e-5)


def test_an_edge_counts_once_whichever_end_comes_first(regression: Dataset) -> None:
    phi = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    turned = replace(regression, graph=replace(regression.graph, edges=regression.graph.edges.flip(0)))
    torch.testing.assert_close(graph_variation(phi, turned), graph_variation(phi, regression))


def test_l1_and_l2_by_hand(binary: Dataset) -> None:
    phi = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    torch.testing.assert_close(l1_attribution(phi, binary), torch.tensor(7 / 4))
    torch.testing.assert_close(l2_attribution(phi, binary), torch.tensor(5.0))


def test_gini_and_l1_are_added(binary: Dataset) -> None:
    torch.testing.assert_close(gini_l1(torch.tensor([[2.0, -3, 1]]), binary), torch.tensor(-4 / 18 + 2))


# Penalties on the weights, of two layers: 2 inputs, 2 hidden units, 1 score


def two_layers() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    for layer, weight, bias in ((0, [[3.0, 0.0], [-4.0, 1.0]], [1.0, -3.0]), (2, [[1.0, -1.0]], [0.5])):
        with torch.no_grad():
            model[layer].weight.copy_(torch.tensor(weight))
            model[layer].bias.copy_(torch.tensor(bias))
    return model


@pytest.mark.parametrize(
    ("penalty", "layers", "expected"),
    [
        (l1_weights, "all", (3 + 0 + 4 + 1 + 1 + 1) / 6),
        (l1_weights, "first", 8 / 4),
        (l2_weights, "all", (9 + 16 + 1 + 1 + 1) ** 0.5),
        (l2_weights, "first", 26**0.5),
        # what leaves the inputs: (3, -4) and (0, 1); the hidden units: 1 and -1; biases: 2 * 2 + 2 * 0.5
        (sparse_group_lasso, "first", 8 + 2**0.5 * (5 + 1)),
        (sparse_group_lasso, "all", 8 + 2**0.5 * (5 + 1) + 2 + 2 + 2 * 2 + 2 * 0.5),
    ],
)
def test_a_penalty_on_weights_by_hand(penalty: WeightPenalty, layers: str, expected: float, binary: Dataset) -> None:
    prior = WeightPrior(0.5, penalty, layers)  # type: ignore[arg-type]
    value = prior(two_layers(), binary.train.x, binary.train.y)
    torch.testing.assert_close(value, torch.tensor(expected))
    value.backward()


@pytest.mark.parametrize("penalty", [l1_weights, l2_weights, sparse_group_lasso])
def test_weights_of_zero_cost_nothing_and_push_nowhere(penalty: WeightPenalty) -> None:
    weights, biases = ([torch.zeros(shape, requires_grad=True)] for shape in ((3, 2), (3,)))
    value = penalty(weights, biases)
    value.backward()
    assert value == 0
    assert (weights[0].grad == 0).all()


def test_a_penalty_on_weights_refuses_other_layers_and_names(images: Dataset) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
    with pytest.raises(ValueError, match=r"^a penalty on weights is for networks of linear layers; found Conv2d$"):
        WeightPrior(1.0, l1_weights, "all")(model, images.train.x, images.train.y)
    with pytest.raises(ValueError, match=r"^prior.layers is all or first; found 'last'$"):
        WeightPrior(1.0, l1_weights, "last")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^prior.weight is a finite number, 0 or more; found -1$"):
        WeightPrior(-1, l1_weights, "all")


def test_the_squared_norm_is_of_each_row_and_its_prior_on_a_loss_gradient_is_double_backpropagation(
    images: Dataset,
) -> None:
    phi = torch.tensor([[[[1.0, 2.0]]], [[[2.0, 4.0]]]])
    assert squared_norm(phi) == (1 + 4 + 4 + 16) / 2
    model, x, y = linear(images).double(), images.train.x.double().requires_grad_(), images.train.y
    prior = AttributionPrior(1.0, squared_norm, OnScale("log_likelihood", Gradient), images)
    (slope,) = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)
    torch.testing.assert_close(prior(model, x, y), slope.square().sum((1, 2, 3)).mean())


def test_double_backpropagation_of_one_score_is_of_the_outcome_that_a_row_has(binary: Dataset) -> None:
    model, x, y = linear(binary).double(), binary.train.x.double().requires_grad_(), binary.train.y.double()
    assert set(y.tolist()) == {0, 1}
    loss = F.binary_cross_entropy_with_logits(model(x).reshape(-1), y, reduction="sum")
    (slope,) = torch.autograd.grad(loss, x)
    prior = AttributionPrior(1.0, squared_norm, OnScale("log_likelihood", Gradient), binary)
    torch.testing.assert_close(prior(model, x, y), slope.square().sum(1).mean())
    with pytest.raises(ValueError, match="log_likelihood is that of a class; found an outcome that is no whole number"):
        prior(model, x, y + 0.5)
