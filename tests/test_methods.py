"""SmoothGrad, random attributions, and the baselines, the gap and the tolerance of integrated gradients."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from attrpriors.attribution import (
    Attribution,
    ExpectedGradients,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Random,
    SmoothGrad,
)
from attrpriors.attribution.baseline import Baseline
from attrpriors.attribution.integrated import Rule


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def network(outputs: int = 3, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), activation(), nn.Linear(8, outputs))


class Lambda(nn.Module):
    """A function as a model; it counts the rows that it is given."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.rows, self.largest = function, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows, self.largest = self.rows + len(x), max(self.largest, len(x))
        return self.function(x)


X, Y, BACKGROUND = rows(7), torch.arange(7) % 3, rows(16, seed=1)


def gap_of(model: nn.Module, phi: Tensor, baseline: Tensor) -> Tensor:
    change = (model(X) - model(baseline)).gather(1, Y[:, None]).squeeze(1)
    return (phi.flatten(1).sum(1) - change).detach()


# Baselines


def test_the_mean_baseline_is_the_mean_of_the_training_rows() -> None:
    model = nn.Linear(4, 3)
    phi = IntegratedGradients("mean", background=BACKGROUND)(model, X, Y)
    torch.testing.assert_close(phi, model.weight[Y] * (X - BACKGROUND.mean(0)))
    explicit = IntegratedGradients(BACKGROUND.mean(0))(network(), X, Y)
    torch.testing.assert_close(IntegratedGradients("mean", background=BACKGROUND)(network(), X, Y), explicit)


def test_the_blurred_baseline_is_each_images_own() -> None:
    images, model = torch.rand(3, 2, 9, 7), nn.Sequential(nn.Flatten(), nn.Linear(126, 3))
    out_of_focus = Baseline("blurred", blur=2.0)(images)
    assert out_of_focus.shape == images.shape
    phi = IntegratedGradients("blurred", blur=2.0)(model, images, Y[:3])
    torch.testing.assert_close(phi, model[1].weight[Y[:3]].reshape(images.shape) * (images - out_of_focus))


def test_a_blur_is_scipys_far_from_the_border_and_the_mean_where_it_is_wide() -> None:
    image = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    image[0, 0, 15, 15] = 1
    ours = Baseline("blurred", blur=2.0)(image)[0, 0]
    torch.testing.assert_close(ours, torch.from_numpy(gaussian_filter(image[0, 0].numpy(), 2.0)), atol=1e-5, rtol=0)
    wide = Baseline("blurred", blur=1e4)(torch.rand(2, 3, 5, 4))
    torch.testing.assert_close(wide, wide.mean((2, 3), keepdim=True).expand_as(wide))
    flat = torch.full((1, 1, 6, 6), 0.3)
    torch.testing.assert_close(Baseline("blurred")(flat), flat)  # also at the border


def test_a_blurred_baseline_can_be_trained_through() -> None:
    images, model = torch.rand(2, 1, 6, 6), nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh(), nn.Linear(4, 3))
    IntegratedGradients("blurred", steps=3)(model, images, Y[:2]).square().sum().backward()
    assert model[1].weight.grad.abs().max() > 1e-6


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"baseline": "black"}, "baseline is a number, a row, mean or blurred; found 'black'"),
        ({"baseline": "mean"}, "the baseline 'mean' is that of a background; none was given"),
        ({"baseline": "blurred", "blur": 0.0}, "blur is a standard deviation in pixels, above 0; found 0.0"),
        ({"tolerance": 0.0}, "tolerance is a share above 0; found 0.0"),
    ],
)
def test_a_baseline_or_a_tolerance_that_means_nothing_is_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        IntegratedGradients(**settings)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (7, 4), (1, 1, 4)])
def test_a_baseline_of_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the baseline is shaped \(.*\), a row of x \(4,\)"):
        IntegratedGradients(torch.zeros(shape))(network(), X, Y)


def test_a_blurred_baseline_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a blurred baseline is for images \(C, H, W\); a row of x is shaped \(4,\)"):
        IntegratedGradients("blurred")(network(), X, Y)


# The completeness gap and the tolerance


@pytest.mark.parametrize("rule", ["left", "right", "trapezoid", "gauss_legendre"])
@pytest.mark.parametrize("grad", [False, True])
def test_the_gap_is_what_attributions_lack_of_the_change_of_the_score(rule: Rule, grad: bool) -> None:
    model, explain = network(), IntegratedGradients(0.2, 4, rule)
    with torch.set_grad_enabled(grad):
        phi, gap = explain.integrate(model, X, Y)
        torch.testing.assert_close(phi, explain(model, X, Y))
    assert phi.requires_grad == grad
    assert not gap.requires_grad
    torch.testing.assert_close(gap, gap_of(model, phi, torch.full_like(X, 0.2)))


def test_the_gap_of_a_single_kink_is_known() -> None:
    relu = Lambda(lambda x: torch.relu(x[:, :1] - 0.55))  # slope 1 from alpha 0.55 on: 5 of 10 right ends are above it
    with torch.no_grad():
        phi, gap = IntegratedGradients(0.0, 10, "right")(relu, torch.ones(1, 4)), 0.5 - 0.45
        stated = IntegratedGradients(0.0, 10, "right").integrate(relu, torch.ones(1, 4))[1]
    torch.testing.assert_close(phi, torch.tensor([[0.5, 0.0, 0.0, 0.0]]))
    assert float(stated) == pytest.approx(gap, abs=1e-6)


@pytest.mark.parametrize("rule", ["left", "right", "trapezoid", "gauss_legendre"])
def test_a_tolerance_raises_the_steps_of_the_rows_that_need_it(rule: Rule) -> None:
    model = network(activation=nn.ReLU)
    with torch.no_grad():
        coarse, before = IntegratedGradients(0.0, 3, rule).integrate(model, X, Y)
        phi, gap = IntegratedGradients(0.0, 3, rule, tolerance=0.01).integrate(model, X, Y)
    allowed = 0.01 * phi.abs().sum(1)
    wide = before.abs() > 0.01 * coarse.abs().sum(1)
    assert wide.any()
    assert (gap.abs() <= allowed).all()
    assert torch.equal(phi[~wide], coarse[~wide])
    torch.testing.assert_close(gap, gap_of(model, phi, torch.zeros_like(X)))


def test_panels_are_the_rule_with_more_steps() -> None:
    model = network()
    with torch.no_grad():
        phi = IntegratedGradients(0.0, 3, "left").integral(model, X, Y, torch.zeros_like(X), panels=4)
        torch.testing.assert_close(phi, IntegratedGradients(0.0, 12, "left")(model, X, Y))


def test_with_a_tolerance_a_row_does_not_depend_on_its_batch_and_chunks_change_nothing() -> None:
    explain, model = IntegratedGradients(0.0, 3, tolerance=0.01), network(activation=nn.ReLU)
    with torch.no_grad():
        whole = explain(model, X, Y)
        alone = [explain(model, x, y) for x, y in zip(X.split(1), Y.split(1), strict=True)]
        torch.testing.assert_close(torch.cat(alone), whole)
        counted = Lambda(model)
        torch.testing.assert_close(IntegratedGradients(0.0, 3, chunk=5, tolerance=0.01)(counted, X, Y), whole)
    assert counted.largest <= 5


def test_what_no_number_of_steps_closes_ends_and_the_gap_tells() -> None:
    step = Lambda(lambda x: (x[:, :1] > 0.5).float() + 0 * x[:, :1])  # its gradient is zero wherever it has one
    phi, gap = IntegratedGradients(0.0, 2, tolerance=0.01).integrate(step, torch.ones(1, 4))
    assert (phi == 0).all()
    assert gap.tolist() == [-1.0]
    with torch.no_grad():
        assert IntegratedGradients(0.0, 2, tolerance=0.01).integrate(step, torch.ones(1, 4))[1].tolist() == [-1.0]
    assert step.rows < 1000


def test_a_tolerance_is_for_evaluation_only() -> None:
    model = network(activation=nn.ReLU)
    assert torch.equal(
        IntegratedGradients(0.0, 3, tolerance=1e-6)(model, X, Y), IntegratedGradients(0.0, 3)(model, X, Y)
    )


# SmoothGrad


def test_smoothgrad_of_a_linear_model_is_its_weight() -> None:
    model = nn.Linear(4, 3)
    torch.testing.assert_close(SmoothGrad(k=3)(model, X, Y), model.weight[Y])


def test_smoothgrad_is_the_expected_gradient_under_normal_noise() -> None:
    sine, x = Lambda(lambda x: x.sin().sum(1, keepdim=True)), X.double()
    k, sd = 20_000, 0.7
    with torch.no_grad():
        phi = SmoothGrad(k, sd)(sine, x)
    expected = x.cos() * math.exp(-(sd**2) / 2)  # E cos(x + z)
    assert (phi - expected).abs().max() < 5 * sd / k**0.5


def test_little_noise_leaves_the_gradient() -> None:
    torch.testing.assert_close(SmoothGrad(2, 1e-4)(network(), X, Y), Gradient()(network(), X, Y), atol=1e-3, rtol=0)


def test_the_same_seed_draws_the_same_noise_and_each_row_its_own() -> None:
    square = Lambda(lambda x: x.square().sum(1) / 2)  # its gradient is the noisy input itself

    def noise(seed: int) -> Tensor:
        return (SmoothGrad(1, 0.3, torch.Generator().manual_seed(seed))(square, X) - X).detach()

    assert torch.equal(noise(3), noise(3))
    assert not torch.equal(noise(3), noise(4))
    assert len(noise(3).flatten().unique()) == X.numel()
    assert noise(3).std() == pytest.approx(0.3, rel=0.4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"k": 0}, "k is a whole number, 1 or more; found 0"), ({"noise": 0.0}, "noise is a standard deviation above 0")],
)
def test_smoothgrad_refuses_settings_that_mean_nothing(settings: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SmoothGrad(**settings)


# Random attributions


def test_random_attributions_are_standard_normal_draws_of_their_generator_alone() -> None:
    x = torch.zeros(500, 4)
    with torch.no_grad():
        phi = Random(torch.Generator().manual_seed(1))(network(), x)
        assert torch.equal(phi, Random(torch.Generator().manual_seed(1))(network(), x + 1))
    assert abs(phi.mean()) < 4 / 2000**0.5
    assert phi.std() == pytest.approx(1, rel=0.1)


def test_a_method_that_cannot_be_trained_through_is_refused_where_autograd_is_on() -> None:
    with pytest.raises(ValueError, match=r"^random cannot be trained through, .* use it as explain, or under torch.no"):
        Random()(network(), X, Y)


# Bad input, of every method


@pytest.mark.parametrize(
    "explain",
    [Gradient(), InputXGradient(), SmoothGrad(2), IntegratedGradients(), ExpectedGradients(BACKGROUND)],
    ids=lambda explain: type(explain).__name__,
)
def test_a_target_outside_the_outputs_and_a_constant_model_are_refused(explain: Attribution) -> None:
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            with pytest.raises(ValueError, match=r"for each row an integer from 0 to 2; found torch\.int64"):
                explain(network(), X, Y + 1)
            with pytest.raises(ValueError, match="does not depend on its input"):
                explain(Lambda(lambda x: torch.zeros(len(x), 3)), X, Y)


def test_more_references_than_there_are_without_replacement_are_refused() -> None:
    with pytest.raises(ValueError, match="controlled takes 2 to 16 references, the rows of the background; found k=17"):
        ExpectedGradients(BACKGROUND, k=17, estimator="controlled")
