import copy
import random
from collections.abc import Callable
from functools import partial

import captum.attr
import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from attrpriors.attribution import (
    Attribution,
    ExpectedGradients,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
    of_members,
)
from attrpriors.data import Dataset, health_simulated, mnist_5k
from attrpriors.model import cnn, mlp
from attrpriors.prior import NoPrior
from attrpriors.train import Trainer

Make = Callable[..., Attribution]

MAKERS: dict[str, Make] = {
    "gradient": lambda background, chunk=512, seed=0: Gradient(),
    "input_x_gradient": lambda background, chunk=512, seed=0: InputXGradient(),
    "integrated_gradients": lambda background, chunk=512, seed=0: IntegratedGradients(background[0], 6, chunk=chunk),
    "expected_gradients": lambda background, chunk=512, seed=0: ExpectedGradients(
        background, 5, torch.Generator().manual_seed(seed), chunk
    ),
    "smoothgrad": lambda background, chunk=512, seed=0: SmoothGrad(5, 0.2, torch.Generator().manual_seed(seed), chunk),
}


class Lambda(nn.Module):
    """A function of a network's scores, or of the input where there is no network; it knows its largest batch."""

    def __init__(self, function: Callable[[Tensor], Tensor], network: nn.Module | None = None) -> None:
        super().__init__()
        self.function, self.network, self.largest = function, network or nn.Identity(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.largest = max(self.largest, len(x))
        return self.function(self.network(x))


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Make:
    return MAKERS[request.param]


@pytest.fixture(params=["integrated_gradients", "expected_gradients", "smoothgrad"])
def path(request: pytest.FixtureRequest) -> Make:
    return MAKERS[request.param]


def network(outputs: int = 3) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs))


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


X, Y, BACKGROUND = rows(7), torch.arange(7) % 3, rows(16, seed=1)


# The contract, for every attribution


def test_attributions_are_shaped_like_the_input_and_can_be_trained_through(make: Make) -> None:
    model = network()
    phi = make(BACKGROUND)(model, X, Y)
    assert phi.shape == X.shape
    assert all(parameter.grad is None for parameter in model.parameters())
    phi.square().sum().backward()
    assert model[0].weight.grad.abs().max() > 1e-4


def test_images_keep_their_shape(make: Make, images: Dataset) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(72, 3))
    x = images.test.x
    phi = make(images.train.x)(model, x, images.test.y)
    assert phi.shape == x.shape
    assert phi.requires_grad


@pytest.mark.parametrize("live_input", [False, True])
def test_attributions_are_plain_numbers_where_autograd_is_off(make: Make, live_input: bool) -> None:
    model, x = network(), X.clone().requires_grad_(live_input)
    with torch.no_grad():
        phi = make(BACKGROUND)(model, x, Y)
    assert not phi.requires_grad
    assert phi.grad_fn is None
    torch.testing.assert_close(phi, make(BACKGROUND)(model, X, Y).detach())


def test_y_chooses_the_score_that_is_explained(make: Make) -> None:
    model = network()
    phi = make(BACKGROUND)(model, X, Y)
    for c in range(3):
        alone = make(BACKGROUND)(Lambda(lambda scores, c=c: scores[:, c], model), X)
        torch.testing.assert_close(phi[c == Y], alone[c == Y])


def test_without_y_the_class_predicted_at_x_is_explained_all_along_the_path(make: Make) -> None:
    model = network()
    predicted = model(X).argmax(1)
    assert len(predicted.unique()) > 1
    assert (model(BACKGROUND).argmax(1) != predicted[0]).any()  # the class changes along some paths
    torch.testing.assert_close(make(BACKGROUND)(model, X), make(BACKGROUND)(model, X, predicted))


@pytest.mark.parametrize("y", [None, torch.zeros(7), torch.full((7,), 9), torch.full((7, 1), -0.5)])
def test_a_single_score_is_explained_whatever_y_is(make: Make, y: Tensor | None) -> None:
    model = network(outputs=1)
    expected = make(BACKGROUND)(Lambda(lambda score: torch.cat([score, -score], 1), model), X, torch.zeros_like(Y))
    torch.testing.assert_close(make(BACKGROUND)(model, X, y), expected)
    torch.testing.assert_close(make(BACKGROUND)(Lambda(lambda score: score.squeeze(1), model), X, y), expected)


@pytest.mark.parametrize("grad", [False, True])
def test_a_rows_attribution_does_not_depend_on_its_batch(make: Make, grad: bool) -> None:
    model, one = nn.Linear(4, 3), BACKGROUND[:1]  # linear, one reference: no draw matters
    with torch.set_grad_enabled(grad):
        whole = make(one)(model, X, Y)
        for size in (1, 3):  # 7 rows: the last batch of 3 is partial
            parts = [make(one)(model, x, y) for x, y in zip(X.split(size), Y.split(size), strict=True)]
            torch.testing.assert_close(torch.cat(parts), whole)


def test_an_input_that_requires_grad_gets_none_and_can_be_differentiated_through(make: Make) -> None:
    model, x = network().double(), X[:2].double().requires_grad_()
    assert make(BACKGROUND)(model, x, Y[:2]).requires_grad
    assert x.grad is None
    assert torch.autograd.gradcheck(lambda x: make(BACKGROUND)(model, x, Y[:2]), x)


def test_features_that_the_model_does_not_use_get_zero(make: Make) -> None:
    unused = Lambda(lambda x: x[:, :2].prod(1, keepdim=True).tanh())
    phi = make(BACKGROUND)(unused, X)
    assert (phi[:, 2:] == 0).all()
    assert (phi[:, :2] != 0).all()
    constant = Lambda(lambda x: torch.zeros_like(x[:, :1]) + bias)
    bias = nn.Parameter(torch.ones(1))
    assert (make(BACKGROUND)(constant, X) == 0).all()


def test_draws_come_from_the_generator_alone(make: Make) -> None:
    model = nn.Sequential(network(), nn.Dropout(0.5))
    states = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    one, again = (make(BACKGROUND, seed=4)(model, X, Y) for _ in range(2))
    assert torch.equal(one, again)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


def test_other_seeds_and_later_calls_draw_other_references() -> None:
    attribution = ExpectedGradients(BACKGROUND, 2, torch.Generator().manual_seed(4))
    phi = attribution(network(), X, Y)
    assert not torch.allclose(phi, attribution(network(), X, Y))
    assert not torch.allclose(phi, ExpectedGradients(BACKGROUND, 2, torch.Generator().manual_seed(5))(network(), X, Y))


@pytest.mark.parametrize("y", [Y, None], ids=["true class", "predicted class"])
@pytest.mark.parametrize("chunk", [1, 4, 7, 12, 1000])
def test_no_more_than_a_chunk_of_points_is_held_and_chunks_change_nothing(
    path: Make, chunk: int, y: Tensor | None
) -> None:
    model = Lambda(lambda scores: scores, network())
    with torch.no_grad():
        phi = path(BACKGROUND, chunk=chunk)(model, X, y)
    assert model.largest <= chunk
    torch.testing.assert_close(phi, path(BACKGROUND)(model, X, y).detach())


@pytest.mark.parametrize(("shape", "most"), [((2,), 2048), ((1, 2, 2), 128)], ids=["rows", "images"])
def test_without_a_chunk_as_many_points_are_held_as_fit_a_cache(shape: tuple[int, ...], most: int) -> None:
    background = torch.randn(9, *shape, generator=torch.Generator().manual_seed(0))
    model = Lambda(lambda x: x.flatten(1).square().sum(1))
    with torch.no_grad():
        ExpectedGradients(background, 3000)(model, background[:1])
    assert model.largest == most


class Breaks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ArithmeticError("broken")


@pytest.mark.parametrize("grad", [False, True])
def test_every_modules_mode_is_restored_also_after_an_error(make: Make, grad: bool) -> None:
    frozen = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)).eval()
    for model in (nn.Sequential(frozen, nn.Dropout(0.5), nn.Linear(8, 3)), nn.Sequential(frozen, Breaks())):
        frozen.eval()
        modes = [module.training for module in model.modules()]
        assert len(set(modes)) == 2
        with torch.set_grad_enabled(grad):
            try:
                make(BACKGROUND)(model, X, Y)
            except ArithmeticError:
                assert isinstance(model[-1], Breaks)
        assert [module.training for module in model.modules()] == modes


def test_batch_norm_keeps_its_statistics_and_dropout_is_off(make: Make) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.9), nn.Linear(8, 3))
    model(rows(30))  # statistics that differ from the batch's
    before = copy.deepcopy(model.state_dict())
    phi = make(BACKGROUND)(model.train(), X, Y)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(phi, make(BACKGROUND)(model.eval(), X, Y))


# Expected gradients


def test_expected_gradients_of_a_linear_model_are_exact_with_one_reference() -> None:
    model = nn.Linear(4, 3)
    phi = ExpectedGradients(BACKGROUND[:1], k=3)(model, X, Y)
    torch.testing.assert_close(phi, model.weight[Y] * (X - BACKGROUND[0]))


def test_every_draw_is_a_row_of_the_background_and_all_are_drawn() -> None:
    model = nn.Linear(4, 1)
    phi = ExpectedGradients(BACKGROUND, k=1)(model, X.repeat(40, 1))
    reference = X.repeat(40, 1) - phi / model.weight
    distance, row = torch.cdist(reference, BACKGROUND).min(1)
    assert distance.max() < 1e-3
    assert len(row.unique()) == len(BACKGROUND)


def test_many_draws_approach_the_mean_of_the_background() -> None:
    model, k = nn.Linear(4, 1), 4000
    phi = ExpectedGradients(BACKGROUND, k)(model, X)
    error = model.weight.abs() * BACKGROUND.std(0, correction=0) / k**0.5
    assert ((phi - model.weight * (X - BACKGROUND.mean(0))).abs() < 4 * error).all()


def test_alpha_is_uniform_on_the_unit_interval() -> None:
    square, x = Lambda(lambda x: x.square()), torch.ones(1000, 1)
    alpha = ExpectedGradients(torch.zeros(1, 1), k=1)(square, x) / 2  # (x - 0) * 2 alpha x
    assert kstest(alpha.detach().flatten().numpy(), "uniform").pvalue > 0.01


def repeated(model: nn.Module, k: int = 2000) -> tuple[Tensor, Tensor]:
    """Mean of k single draws for each row of X, class Y, and its standard error, each (7, F)."""
    with torch.no_grad():
        phi = ExpectedGradients(BACKGROUND, k=1)(model, X.repeat_interleave(k, 0), Y.repeat_interleave(k))
    draws = phi.reshape(len(X), k, 4)
    return draws.mean(1), draws.std(1) / k**0.5


def test_attributions_sum_to_the_score_less_the_mean_reference_score() -> None:
    model, k = network(), 2000
    with torch.no_grad():
        phi = ExpectedGradients(BACKGROUND, k=1)(model, X.repeat_interleave(k, 0), Y.repeat_interleave(k))
        gap = (model(X) - model(BACKGROUND).mean(0)).gather(1, Y[:, None]).squeeze(1)
    total = phi.sum(1).reshape(len(X), k)
    assert ((total.mean(1) - gap).abs() < 4 * total.std(1) / k**0.5).all()
    assert (gap.abs() > 8 * total.std(1) / k**0.5).any()  # zero would not pass


def test_k_draws_have_the_mean_of_k_single_draws() -> None:
    model, k = network(), 2000
    mean, error = repeated(model, k)
    phi = ExpectedGradients(BACKGROUND, k, torch.Generator().manual_seed(8))(model, X, Y)
    assert ((phi - mean).abs() < 4 * 2**0.5 * error).all()


def test_expected_gradients_agree_with_captum() -> None:
    model = network()
    mean, error = repeated(model)
    torch.manual_seed(0)
    np.random.seed(0)
    theirs = captum.attr.GradientShap(model).attribute(X, BACKGROUND, n_samples=2000, stdevs=0.0, target=Y)
    assert ((theirs - mean).abs() < 4 * 2**0.5 * error).all()


@pytest.mark.filterwarnings("ignore:The set_.* function:PendingDeprecationWarning")  # shap's colour maps
def test_expected_gradients_agree_with_shap() -> None:
    import shap

    model = network()
    mean, error = repeated(model)
    theirs = shap.GradientExplainer(copy.deepcopy(model), BACKGROUND).shap_values(X[:3], nsamples=1000, rseed=0)
    theirs = torch.from_numpy(theirs)[torch.arange(3), :, Y[:3]]
    assert ((theirs - mean[:3]).abs() < 4 * 3**0.5 * error[:3]).all()  # theirs has half as many draws


# Integrated gradients


@pytest.mark.parametrize(
    ("rule", "method", "scale"),
    [
        ("left", "riemann_left", 1),
        ("right", "riemann_right", 1),
        ("trapezoid", "riemann_trapezoid", 6 / 5),  # captum's weights of n steps sum to (n-1)/n
        ("gauss_legendre", "gausslegendre", 1),
    ],
)
def test_integrated_gradients_agree_with_captum(rule: str, method: str, scale: float) -> None:
    model, baseline = network(), torch.tensor([0.1, -0.2, 0.3, 0.0])
    theirs = captum.attr.IntegratedGradients(model).attribute(X, baseline[None], target=Y, n_steps=6, method=method)
    torch.testing.assert_close(IntegratedGradients(baseline, 6, rule)(model, X, Y), (scale * theirs).float())


@pytest.mark.parametrize("rule", ["left", "right", "trapezoid", "gauss_legendre"])
def test_the_counter_example_of_the_integrated_gradients_paper(rule: str) -> None:
    relu = torch.relu
    model = Lambda(lambda x: relu(relu(x[:, 0]) - 1 - relu(x[:, 1])))  # appendix B
    phi = IntegratedGradients(0.0, 500, rule)(model, torch.tensor([[3.0, 1.0]]))
    torch.testing.assert_close(phi, torch.tensor([[1.5, -0.5]]), atol=0.01, rtol=0)


def test_integrated_gradients_are_complete_on_a_smooth_model() -> None:
    model, x = network().double(), X.double()
    phi = IntegratedGradients(0.2, 20)(model, x, Y)
    gap = (model(x) - model(torch.full_like(x, 0.2))).gather(1, Y[:, None]).squeeze(1)
    torch.testing.assert_close(phi.sum(1), gap, atol=1e-12, rtol=0)


@pytest.mark.parametrize("baseline", [0, 0.0, [0.0] * 4, torch.zeros(4), torch.zeros(1, 4)])
def test_a_baseline_is_a_number_or_a_row(baseline: object) -> None:
    expected = IntegratedGradients()(network(), X, Y)
    assert torch.equal(IntegratedGradients(baseline)(network(), X, Y), expected)


# Gradient and input x gradient


def test_gradients_of_a_linear_model_are_its_weights() -> None:
    model = nn.Linear(4, 3)
    torch.testing.assert_close(Gradient()(model, X, Y), model.weight[Y])
    torch.testing.assert_close(InputXGradient()(model, X, Y), X * model.weight[Y])


# Bad input


@pytest.mark.parametrize(
    ("y", "found"),
    [
        (torch.tensor([0, 1, 2, 3, 0, 1, 2]), "integer from 0 to 2; found torch.int64 .* from 0 to 3"),
        (torch.tensor([0, 1, 2, -1, 0, 1, 2]), "integer from 0 to 2; found torch.int64 .* from -1 to 2"),
        (torch.zeros(7), "integer from 0 to 2; found torch.float32"),
        (torch.zeros(7, 1, dtype=torch.int64), "integer from 0 to 2; found torch.int64 in 2 dimensions"),
        (torch.tensor([0, 1]), r"each of the 7 rows of x; found the shape \(2,\)"),
    ],
)
def test_a_class_that_is_none_is_refused(make: Make, y: Tensor, found: str) -> None:
    for grad in (False, True):
        with torch.set_grad_enabled(grad), pytest.raises(ValueError, match=found):
            make(BACKGROUND)(network(), X, y)


def test_classes_may_be_any_kind_of_integer(make: Make) -> None:
    phi = make(BACKGROUND)(network(), X, Y)
    assert torch.equal(make(BACKGROUND)(network(), X, Y.to(torch.uint8)), phi)


def test_a_constant_model_has_nothing_to_explain(make: Make) -> None:
    with pytest.raises(ValueError, match="does not depend on its input"):
        make(BACKGROUND)(Lambda(lambda x: torch.zeros(len(x), 1)), X)


def test_scores_of_a_wrong_shape_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match=r"\(B,\) or \(B, O\), found \(.*, 2, 2\)"):
        make(BACKGROUND)(Lambda(lambda x: x.reshape(-1, 2, 2)), X, Y)


def test_settings_that_make_no_sense_are_refused_when_they_are_given() -> None:
    for k in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"k is a whole number, 1 or more; found {k}"):
            ExpectedGradients(BACKGROUND, k=k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rule is one of left, right, trapezoid, gauss_legendre; found 'simpson'"):
        IntegratedGradients(rule="simpson")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps is a whole number, 1 or more; found 0"):
        IntegratedGradients(steps=0, rule="left")
    with pytest.raises(ValueError, match="trapezoid needs 2 steps or more; found 1"):
        IntegratedGradients(steps=1, rule="trapezoid")


@pytest.mark.parametrize("chunk", [0, -3])
def test_an_empty_chunk_is_refused_when_it_is_given(path: Make, chunk: int) -> None:
    with pytest.raises(ValueError, match=f"chunk is a whole number, 1 or more; found {chunk}"):
        path(BACKGROUND, chunk=chunk)


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"baseline is shaped \(3,\), a row of x \(4,\)"):
        IntegratedGradients(torch.zeros(3))(network(), X, Y)
    with pytest.raises(ValueError, match=r"row of x is shaped \(4,\), of the background \(3,\)"):
        ExpectedGradients(torch.zeros(5, 3))(network(), X, Y)


@pytest.fixture(scope="module")
def bent() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A tanh network, 12 references, 3 rows, and their expected gradients by quadrature over every reference."""
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    background, x = torch.randn(12, 4).double() + 1, torch.randn(3, 4).double()
    with torch.no_grad():
        exact = torch.stack([IntegratedGradients(r, 30)(network, x) for r in background]).mean(0)
    return network, background, x, exact


def estimated(estimator: str, k: int, bent: tuple, times: int = 300) -> tuple[Tensor, Tensor]:
    """Estimates and their stated errors, `times` of them."""
    network, background, x, _ = bent
    explain = ExpectedGradients(background, k, torch.Generator().manual_seed(6), estimator=estimator)
    with torch.no_grad():
        estimates, errors = zip(*(explain.estimate(network, x) for _ in range(times)), strict=True)
    return torch.stack(estimates), torch.stack(errors)


@pytest.mark.parametrize("estimator", ["independent", "controlled"])
@pytest.mark.parametrize("k", [2, 10])
def test_the_mean_of_many_estimates_is_the_exact_expectation(estimator, k, bent):
    estimates, _ = estimated(estimator, k, bent)
    deviation = (estimates.mean(0) - bent[3]) / (estimates.std(0) / len(estimates) ** 0.5)
    assert deviation.abs().max() < 4


def test_the_controlled_estimator_has_half_the_variance_at_equal_k(bent):
    gain = estimated("independent", 10, bent)[0].var(0).mean() / estimated("controlled", 10, bent)[0].var(0).mean()
    assert gain > 2


def variance(estimator: str, k: int, model: nn.Module, data: Dataset, count: int, times: int) -> float:
    """Of an attribution over `times` calls, mean over features and `count` test rows."""
    explain = ExpectedGradients(data.train.x, k, torch.Generator().manual_seed(2), estimator=estimator)
    with torch.no_grad():
        phis = torch.stack([explain(model, data.test.x[:count], data.test.y[:count]) for _ in range(times)])
    return float(phis.double().var(0).mean())


def trained(data: Dataset, model: nn.Module, epochs: int, batch_size: int | None) -> nn.Module:
    optimizer = partial(torch.optim.Adam, lr=1e-3)
    Trainer(epochs, batch_size, optimizer, torch.Generator().manual_seed(0)).fit(model, data, NoPrior())
    return model


def test_at_the_k_of_the_ruler_the_controlled_estimator_has_half_the_variance_on_trained_digits():
    torch.manual_seed(0)
    data = mnist_5k.load(train=1000, seed=0)
    model = trained(data, cnn(data, [8, 16], hidden=32, batch_norm=False), 4, 50)
    assert variance("independent", 200, model, data, 3, 10) > 2 * variance("controlled", 200, model, data, 3, 10)


@pytest.mark.parametrize(("k", "gain"), [(50, 2), (100, 4)])  # the ruler takes all 100 rows
def test_the_controlled_estimator_has_half_the_variance_or_less_on_a_trained_survey(k, gain):
    torch.manual_seed(0)
    data = health_simulated.load(people=1000, seed=0)
    model = trained(data, mlp(data, [512, 128, 32]), 20, None)
    assert variance("independent", k, model, data, 8, 20) > gain * variance("controlled", k, model, data, 8, 20)


@pytest.mark.parametrize(("estimator", "low", "high"), [("independent", 0.9, 1.1), ("controlled", 0.9, 3.0)])
def test_the_stated_error_is_the_spread_of_the_estimates_or_a_little_more(estimator, low, high, bent):
    estimates, errors = estimated(estimator, 10, bent)
    ratio = errors.square().mean().sqrt() / estimates.var(0).mean().sqrt()
    assert low < ratio < high


def test_the_error_of_a_single_draw_is_unknown(bent):
    network, background, x, _ = bent
    with torch.no_grad():
        phi, error = ExpectedGradients(background, 1).estimate(network, x)
    assert phi.isfinite().all()
    assert error.shape == x.shape
    assert error.isnan().all()


@pytest.mark.parametrize(("k", "tolerance"), [(1, 0.15), (4, 0.05)])
def test_a_tolerance_draws_until_the_error_is_small_enough(k, tolerance, bent):
    network, background, x, exact = bent
    calls = []
    counted = Lambda(lambda points: calls.append(len(points)) or network(points))
    explain = ExpectedGradients(background, k, torch.Generator().manual_seed(7), tolerance=tolerance)
    with torch.no_grad():
        phi, error = explain.estimate(counted, x)
    assert error.mean() <= tolerance * phi.abs().mean()
    assert sum(calls) > 3 * k * 10
    assert (phi - exact).abs().mean() < 4 * error.mean()


def test_the_controlled_mean_of_several_windows_is_the_exact_expectation(bent):
    network, background, x, exact = bent
    explain = ExpectedGradients(background, 4, torch.Generator().manual_seed(7), estimator="controlled")
    estimates = []
    with torch.no_grad():
        for _ in range(1000):
            windows = [explain._sums(network, x, None, error=False) for _ in range(3)]
            estimates.append(explain._summarise(x, [sum(sums) / 12 for sums in zip(*windows, strict=True)], 12)[0])
    estimates = torch.stack(estimates)
    deviation = (estimates.mean(0) - exact) / (estimates.std(0) / len(estimates) ** 0.5)
    assert deviation.abs().max() < 4


@pytest.mark.parametrize("estimator", ["independent", "controlled"])
def test_complete_attributions_have_exact_sums_and_are_nearer_to_the_expectation(estimator, bent):
    network, background, x, exact = bent
    error = {}
    for complete in (False, True):
        explain = ExpectedGradients(background, 4, torch.Generator().manual_seed(6), 512, estimator, complete=complete)
        with torch.no_grad():
            estimates = torch.stack([explain(network, x) for _ in range(300)])  # (R, B, F)
        error[complete] = float((estimates - exact).square().mean())
    gap = (network(x) - network(background).mean()).detach().squeeze(1)
    torch.testing.assert_close(estimates.sum(2), gap.expand(300, 3), rtol=0, atol=1e-12)
    assert error[True] < 0.9 * error[False]


def test_the_bias_of_complete_attributions_falls_as_the_inverse_of_k(bent):
    network, background, x, exact = bent
    bias = []  # their shares are drawn with what they share out
    for k in (4, 40):
        explain = ExpectedGradients(background, k, torch.Generator().manual_seed(6), complete=True)
        with torch.no_grad():
            estimates = explain(network, x.repeat(1500, 1)).unflatten(0, (1500, 3))
        bias.append((estimates.mean(0) - exact).abs().max())
    assert bias[1] < bias[0] / 4


def test_what_is_lacking_of_completeness_goes_to_the_features_by_their_squared_errors(bent):
    network, background, x, _ = bent
    plain, complete = (
        ExpectedGradients(background, 4, torch.Generator().manual_seed(6), complete=complete)
        for complete in (False, True)
    )
    with torch.no_grad():
        (phi, error), (whole, same) = (explain.estimate(network, x) for explain in (plain, complete))
    assert torch.equal(error, same)
    change = whole - phi
    torch.testing.assert_close(change / change.sum(1, keepdim=True), error**2 / (error**2).sum(1, keepdim=True))
    assert change.abs().max() > 1e-3


def test_complete_attributions_are_refused_in_training(bent):
    network, background, x, _ = bent
    with pytest.raises(ValueError, match=r"^complete=true is for evaluation, under torch\.no_grad\(\): training"):
        ExpectedGradients(background, 4, complete=True)(network, x)


@pytest.mark.parametrize(
    "settings",
    [
        {"estimator": "controlled"},
        {"estimator": "controlled", "complete": True},
        {"estimator": "independent", "complete": True},
        {"estimator": "independent", "tolerance": 0.3},
    ],
    ids=str,
)
@pytest.mark.parametrize("chunk", [1, 12, 64])
def test_memory_does_not_grow_with_k_whatever_is_asked_of_the_estimate(settings, chunk):
    model, background = Lambda(lambda scores: scores, network()), rows(90, seed=1)
    found = []
    for k in (5, 80):
        explain = ExpectedGradients(background, k, torch.Generator().manual_seed(2), chunk, **settings)
        with torch.no_grad():
            explain.estimate(model, X, Y)
        found.append(model.largest)
    assert max(found) <= chunk


@pytest.mark.parametrize(("estimator", "k"), [("independent", 1), ("independent", 3), ("controlled", 3)])
def test_members_of_an_ensemble_keep_their_own_references_and_draws(estimator, k):
    model, backgrounds = network(), [rows(16, seed=seed) + 5 * seed for seed in (1, 2, 3)]

    def make() -> list[ExpectedGradients]:
        return [
            ExpectedGradients(background, k, torch.Generator().manual_seed(seed), chunk=4, estimator=estimator)
            for seed, background in enumerate(backgrounds)
        ]

    blocks = [rows(7, seed=seed) for seed in (4, 5, 6)]
    alone = [explain(model, x, Y) for explain, x in zip(make(), blocks, strict=True)]
    whole = of_members(make())
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(of_members(make())(model, torch.cat(blocks), Y.repeat(3)), torch.cat(alone))
    later = [whole(model, torch.cat(blocks), Y.repeat(3)) for _ in range(2)]
    assert not torch.allclose(*later)


def test_members_share_an_attribution_without_draws_as_it_is():
    shared = [IntegratedGradients("mean", 4, background=BACKGROUND) for _ in range(2)]
    assert of_members(shared) is shared[0]
    assert of_members([Gradient(), Gradient()])(network(), X, Y).shape == X.shape


def test_controlled_draws_no_reference_twice_and_one_alpha_a_stratum(bent):
    _, background, *_ = bent
    index, alpha = ExpectedGradients(background, 12, estimator="controlled")._draw(5)
    assert [sorted(row) for row in index.tolist()] == [list(range(12))] * 5
    assert [sorted(row) for row in (alpha * 12).long().tolist()] == [list(range(12))] * 5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"k": 1, "estimator": "controlled"}, "controlled takes 2 to 12 references"),
        ({"k": 13, "estimator": "controlled"}, "found k=13"),
        ({"estimator": "better"}, "one of independent, controlled; found 'better'"),
        ({"tolerance": 0.0}, "tolerance is a share above 0"),
        ({"k": 1, "complete": True}, "by standard errors, of 2 references or more; found 1"),
    ],
)
def test_estimators_refuse_settings_that_mean_nothing(settings, sentence, bent):
    with pytest.raises(ValueError, match=sentence):
        ExpectedGradients(bent[1], **settings)
