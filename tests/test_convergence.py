"""The convergence demo and what it needs: attributions on the scale of probabilities, a watched training."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from attrpriors.attribution import ExpectedGradients, Gradient, IntegratedGradients, OnScale
from attrpriors.data import Dataset, redundant_feature
from attrpriors.evaluate import better
from attrpriors.evaluate.convergence import Convergence, dependence
from attrpriors.model import affine, glorot_mlp, linear
from attrpriors.prior import AttributionPrior, NoPrior, irrelevant_attribution
from attrpriors.train import Ensemble, Trainer

ZERO = torch.zeros(1, 2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return redundant_feature.load(train=128, seed=0)


def logistic(data: Dataset, *weight: float, bias: float = -6.0) -> nn.Module:
    return affine(data, weight, bias)


# Scales, against the derivatives of the logistic function


@pytest.mark.parametrize(
    ("scale", "slope"),
    [
        ("probability", lambda p: p * (1 - p)),
        ("log_probability", lambda p: 1 - p),
        ("log_probabilities", lambda p: 1 - 2 * p),
    ],
)
def test_the_gradient_of_one_score_on_each_scale(scale: str, slope: object, data: Dataset) -> None:
    model, x = logistic(data, 0.5, -1.0, bias=0.3), torch.randn(5, 2, generator=seeded())
    phi = OnScale(scale, Gradient)(model, x, torch.zeros(5))
    p = model(x).sigmoid()
    torch.testing.assert_close(phi, slope(p) * torch.tensor([0.5, -1.0]))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("scale", "value"),
    [
        ("probability", lambda s, y: s.softmax(1).gather(1, y[:, None]).sum()),
        ("log_probability", lambda s, y: -F.cross_entropy(s, y, reduction="sum")),
        ("log_likelihood", lambda s, y: -F.cross_entropy(s, y, reduction="sum")),
        ("log_probabilities", lambda s, y: s.log_softmax(1).sum()),
    ],
)
def test_the_gradient_of_several_scores_on_each_scale(scale: str, value: object, images: Dataset) -> None:
    torch.manual_seed(0)
    model, x, y = linear(images), images.test.x.clone().requires_grad_(), images.test.y
    (expected,) = torch.autograd.grad(value(model(x), y), x)  # type: ignore[operator]
    torch.testing.assert_close(OnScale(scale, Gradient)(model, images.test.x, y).detach(), expected)


def test_expected_gradients_of_the_probability_are_complete(data: Dataset) -> None:
    model, x = logistic(data, 2.0, 1.0, bias=-1.0), data.test.x[:20]
    draw = partial(ExpectedGradients, background=ZERO, k=2000)
    with torch.no_grad():
        phi = OnScale("probability", draw, seeded())(model, x, None)
        change = (model(x).sigmoid() - model(ZERO).sigmoid()).squeeze(1)
    torch.testing.assert_close(phi.sum(1), change, atol=0.02, rtol=0)


def test_a_scale_that_does_not_exist_is_refused() -> None:
    scales = "probability, log_probability, log_likelihood, log_probabilities"
    with pytest.raises(ValueError, match=f"scale is one of {scales}; found 'odds'"):
        OnScale("odds", Gradient)


# The penalty


def test_irrelevant_features_are_those_that_are_not_the_truth(binary: Dataset) -> None:
    phi = torch.tensor([[9.0, -9.0, 1.0, -2.0, 0.0, 3.0], [9.0, 9.0, 3.0, 0.0, 0.0, -1.0]], requires_grad=True)
    assert irrelevant_attribution(phi, binary).item() == 2 + 1 + 0 + 2
    assert irrelevant_attribution(phi, binary).requires_grad


def test_data_that_do_not_know_what_matters_are_refused(images: Dataset) -> None:
    with pytest.raises(ValueError, match="needs data that know which features matter; images does not"):
        AttributionPrior(1.0, irrelevant_attribution, Gradient(), images)


# Models


def test_affine_starts_from_the_given_weights(data: Dataset) -> None:
    torch.testing.assert_close(logistic(data, 10, 10)(torch.tensor([[1.0, 0.5]])), torch.tensor([[9.0]]))
    with pytest.raises(ValueError, match="a weight for each of the 2 features of redundant_feature; found 3 weights"):
        affine(data, [1, 2, 3], 0)


def test_glorot_weights_are_within_their_bound_and_biases_zero(regression: Dataset) -> None:
    first = glorot_mlp(regression, [400])[1]
    bound = math.sqrt(6 / (5 + 400))
    assert 0.99 * bound < first.weight.abs().max() <= bound
    assert (first.bias == 0).all()


# The demo


def test_dependence_is_the_ratio_of_the_two_changes(data: Dataset) -> None:
    assert dependence(logistic(data, 10, 10), data)["dependence"] == pytest.approx(1)
    assert dependence(logistic(data, 10, 0), data)["dependence"] == 0
    small = logistic(data, 0.02, -0.01, bias=0)  # nearly linear
    assert dependence(small, data)["dependence"] == pytest.approx(-0.5, abs=1e-3)


def test_dependence_is_of_two_features(binary: Dataset) -> None:
    with pytest.raises(ValueError, match="dependence is of one of two features"):
        dependence(linear(binary), binary)


@pytest.mark.parametrize(
    ("attribution", "gradients"),
    [
        (Gradient(), 1),
        (ExpectedGradients(ZERO, k=3), 3),
        (OnScale("probability", partial(IntegratedGradients, steps=5)), 5),
    ],
)
def test_the_first_epoch_below_the_bound_and_what_it_cost(attribution: OnScale, gradients: int, data: Dataset) -> None:
    history = pd.DataFrame({"dependence": [1.0, -0.2, 0.05, -0.009, 0.02], "loss": [5.0, 4.0, 3.0, 2.0, 1.0]})
    rows, arrays = Convergence(bound=0.01)(logistic(data, 1, 1), data, attribution, history)
    expected = {"converged_epoch": 4, "gradients_to_converge": 4 * gradients, "dependence": 0.02, "final_loss": 1}
    assert dict(rows) == expected
    assert list(arrays["gradients"]) == [gradients * epoch for epoch in range(1, 6)]
    assert better("converged_epoch") == better("gradients_to_converge") == "lower"
    never = dict(Convergence(bound=0.001)(logistic(data, 1, 1), data, attribution, history)[0])
    assert math.isnan(never["converged_epoch"])
    assert math.isnan(never["gradients_to_converge"])


def test_a_training_that_watches_nothing_is_refused(data: Dataset) -> None:
    with pytest.raises(ValueError, match=r"watches the dependence \(train=convergence\)"):
        Convergence(0.01)(logistic(data, 1, 1), data, Gradient(), pd.DataFrame({"loss": [1.0]}))


def trained(data: Dataset, seed: int) -> tuple[nn.Module, Dataset, AttributionPrior, torch.Generator]:
    draw = partial(ExpectedGradients, background=ZERO, k=2)
    attribution = OnScale("probability", draw, seeded(seed))
    return logistic(data, 3, 3), data, AttributionPrior(1.0, irrelevant_attribution, attribution, data), seeded(seed)


def test_members_of_an_ensemble_are_watched_as_if_they_were_alone(data: Dataset) -> None:
    settings = {"epochs": 3, "batch_size": 64, "optimizer": partial(torch.optim.Adam, lr=0.1), "watch": dependence}
    runs = [trained(redundant_feature.load(train=128, seed=seed), seed) for seed in (0, 1)]
    models, datas, priors, generators = (list(column) for column in zip(*runs, strict=True))
    together = Ensemble(**settings, generator=seeded()).fit_members(models, datas, priors, generators)
    for seed, history in enumerate(together):
        model, part, prior, generator = trained(redundant_feature.load(train=128, seed=seed), seed)
        alone = Trainer(**settings, generator=generator).fit(model, part, prior)
        assert isinstance(history, pd.DataFrame)
        assert alone["dependence"].iloc[-1] != pytest.approx(1, abs=1e-3)
        np.testing.assert_allclose(history["dependence"], alone["dependence"], rtol=1e-4)


def test_a_training_is_not_moved_by_being_watched(data: Dataset) -> None:
    def loss(**more: object) -> list[float]:
        trainer = Trainer(2, 64, partial(torch.optim.Adam, lr=0.1), seeded(), **more)  # type: ignore[arg-type]
        return list(trainer.fit(logistic(data, 3, 3), data, NoPrior())["loss"])

    assert loss() == loss(watch=dependence)


def epochs_until_free(phi: OnScale, data: Dataset) -> float:
    """The epoch at which the demo's model is rid of its redundant feature, of ten with ten times the demo's rate."""
    prior, model = AttributionPrior(1.0, irrelevant_attribution, phi, data), logistic(data, 10, 10)
    trainer = Trainer(10, 64, partial(torch.optim.Adam, lr=0.1), seeded(), watch=dependence)
    return dict(Convergence(0.01)(model, data, phi, trainer.fit(model, data, prior))[0])["converged_epoch"]


def test_an_integral_frees_a_saturated_model_where_three_points_of_it_do_not() -> None:
    data = redundant_feature.load(train=960, seed=0)
    many, few = (
        OnScale("probability", partial(IntegratedGradients, steps=steps, rule="trapezoid")) for steps in (50, 3)
    )
    assert epochs_until_free(many, data) < 8
    assert math.isnan(epochs_until_free(few, data))
