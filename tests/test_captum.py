"""captum: our methods agree with its own, and its others under our contract."""

import copy
import re
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attrpriors.attribution import IntegratedGradients, SmoothGrad, peer
from attrpriors.attribution.integrated import Rule
from attrpriors.attribution.peer import Peer
from attrpriors.data import Dataset
from attrpriors.evaluate.axioms.network import counter_example

ROOT = Path(__file__).parents[1]


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def network(outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, outputs))


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X, Y, BACKGROUND = rows(7), torch.arange(7) % 3, rows(16, seed=1)

Make = Callable[..., Peer]
MAKERS: dict[str, Make] = {
    "deep_lift": lambda seed=0, **settings: peer.deep_lift(**settings),
    "gradient_shap": lambda seed=0, **settings: peer.gradient_shap(BACKGROUND, 5, draws(seed), **settings),
    "guided_backprop": lambda seed=0, **settings: peer.guided_backprop(**settings),
    "occlusion": lambda seed=0, **settings: peer.occlusion(**settings),
    "kernel_shap": lambda seed=0, **settings: peer.kernel_shap(40, generator=draws(seed), **settings),
}
DRAWING = ("gradient_shap", "kernel_shap")


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Make:
    return MAKERS[request.param]


def change(model: nn.Module, x: Tensor, y: Tensor, baseline: Tensor) -> Tensor:
    return (model(x) - model(baseline)).gather(1, y[:, None]).squeeze(1).detach()


# Ours against theirs


def test_smoothgrad_agrees_with_captum() -> None:
    torch.manual_seed(2)
    model, k, sd = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), 3000, 0.5
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    settings = {"nt_samples": k, "stdevs": sd, "nt_samples_batch_size": 100, "abs": False, "target": Y}
    theirs = tunnel.attribute(X, nt_type="smoothgrad", **settings)
    with torch.no_grad():
        single = SmoothGrad(1, sd)(model, X.repeat_interleave(k, 0), Y.repeat_interleave(k)).reshape(7, k, 4)
    assert ((theirs - single.mean(1)).abs() < 4.5 * (2 / k) ** 0.5 * single.std(1)).all()
    assert ((theirs - single.mean(1)).abs().mean() < theirs.abs().mean() / 20).all()


@pytest.mark.parametrize(("rule", "method"), [("right", "riemann_right"), ("gauss_legendre", "gausslegendre")])
def test_the_completeness_gap_agrees_with_captums_convergence_delta(rule: Rule, method: str) -> None:
    model = network()
    theirs, delta = captum.attr.IntegratedGradients(model).attribute(
        X, BACKGROUND[:1], target=Y, n_steps=7, method=method, return_convergence_delta=True
    )
    phi, gap = IntegratedGradients(BACKGROUND[0], 7, rule).integrate(model, X, Y)
    torch.testing.assert_close(phi, theirs.float())
    torch.testing.assert_close(gap, delta.float(), atol=1e-5, rtol=1e-4)


# Theirs under our contract


def test_a_peer_gives_what_captum_gives() -> None:
    model, zero = network(), torch.zeros_like(X)
    with torch.no_grad():
        found = {name: make()(model, X, Y) for name, make in MAKERS.items()}
    with pytest.warns(UserWarning, match="hooks"):
        theirs = captum.attr.DeepLift(model).attribute(X.clone().requires_grad_(), zero, target=Y)
    with pytest.warns(UserWarning, match="hooks"):
        guided = captum.attr.GuidedBackprop(model).attribute(X.clone().requires_grad_(), target=Y)
    torch.testing.assert_close(found["deep_lift"], theirs.detach())
    torch.testing.assert_close(found["guided_backprop"], guided.detach())
    for i in range(4):  # hidden one at a time
        hidden = X.clone()
        hidden[:, i] = 0
        torch.testing.assert_close(found["occlusion"][:, i], change(model, X, Y, hidden))
    torch.testing.assert_close(found["kernel_shap"].sum(1), change(model, X, Y, zero), atol=1e-3, rtol=1e-3)


def test_kernel_shap_gives_the_shapley_values_of_the_counter_example() -> None:
    with torch.no_grad():
        phi = peer.kernel_shap(2000)(counter_example().model, torch.tensor([[3.0, 1.0]]))
    torch.testing.assert_close(phi, torch.tensor([[1.5, -0.5]]), atol=0.05, rtol=0)


def test_gradient_shap_is_expected_gradients() -> None:
    model = network()
    mean = model(BACKGROUND).mean(0).expand(7, -1)
    with torch.no_grad():
        phi = peer.gradient_shap(BACKGROUND, 3000)(model, X, Y)
        gap = (model(X) - mean).gather(1, Y[:, None]).squeeze(1)
    torch.testing.assert_close(phi.sum(1), gap, atol=0.05, rtol=0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_attributions_are_plain_numbers_shaped_like_the_input_and_the_model_is_left_as_it_was(
    make: Make, outputs: int
) -> None:
    model = nn.Sequential(network(8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, outputs)).train()
    before, x = copy.deepcopy(model.state_dict()), X.clone().requires_grad_()
    with torch.no_grad():
        phi = make()(model, x, Y if outputs > 1 else torch.zeros(7))
        again = make()(model.eval(), x, Y if outputs > 1 else None)
    assert phi.shape == X.shape
    assert not phi.requires_grad
    assert x.grad is None
    assert torch.equal(phi, again)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_y_chooses_the_score_and_without_it_the_predicted_class_is_explained(make: Make) -> None:
    model = network()
    with torch.no_grad():
        predicted = model(X).argmax(1)
        assert torch.equal(make()(model, X), make()(model, X, predicted))
        assert not torch.allclose(make()(model, X, (predicted + 1) % 3), make()(model, X, predicted))
        assert torch.equal(make()(model, X, Y.to(torch.uint8)), make()(model, X, Y))


def test_draws_come_from_the_generator_alone(make: Make, request: pytest.FixtureRequest) -> None:
    model, states = network(), (torch.get_rng_state(), np.random.get_state()[1])
    with torch.no_grad():
        explain = make(seed=4)
        one, later = explain(model, X, Y), explain(model, X, Y)
        torch.rand(3), np.random.rand(3)
        assert torch.equal(make(seed=4)(model, X, Y), one)
    torch.set_rng_state(states[0])
    drawing = any(name in request.node.name for name in DRAWING)
    assert torch.equal(one, later) != drawing


def test_the_global_generators_are_given_back(make: Make) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    with torch.no_grad():
        make()(network(), X, Y)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])


class Counting(nn.Sequential):
    """It knows the largest batch of all its copies."""

    largest: list[int]

    def forward(self, x: Tensor) -> Tensor:
        Counting.largest.append(len(x))
        return super().forward(x)


def test_no_more_than_a_chunk_of_points_is_held(make: Make) -> None:
    Counting.largest = []
    with torch.no_grad():
        phi = make(chunk=6)(Counting(network()), X, Y)
    assert max(Counting.largest) <= 6
    assert phi.shape == X.shape


def test_chunks_change_nothing_where_nothing_is_drawn() -> None:
    for name in set(MAKERS) - set(DRAWING):
        with torch.no_grad():
            torch.testing.assert_close(MAKERS[name](chunk=4)(network(), X, Y), MAKERS[name]()(network(), X, Y))


@pytest.mark.parametrize("make", [peer.deep_lift, peer.occlusion, partial(peer.kernel_shap, 50)])
def test_baselines_are_those_of_integrated_gradients(make: Make) -> None:
    model, mean = network(), BACKGROUND.mean(0)
    with torch.no_grad():
        phi = make(baseline="mean", background=BACKGROUND)(model, X, Y)
        torch.testing.assert_close(phi, make(baseline=mean)(model, X, Y))
        assert not torch.allclose(phi, make()(model, X, Y))
        with pytest.raises(ValueError, match=r"the baseline is shaped \(3,\), a row of x \(4,\)"):
            make(baseline=torch.zeros(3))(model, X, Y)


# Images


def test_images_keep_their_shape_and_patches_share_what_they_get(images: Dataset) -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3))
    x, y = images.test.x[:3], images.test.y[:3]
    with torch.no_grad():
        for explain in (peer.deep_lift(), peer.gradient_shap(images.train.x, 3), peer.guided_backprop()):
            assert explain(model, x, y).shape == x.shape
        phi = peer.kernel_shap(100, patch=4)(model, x, y)
        seen = peer.occlusion(window=3, stride=1)(model, x, y)
    for patch in phi.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(2, 4, 0, 1, 3, 5).flatten(0, 1):
        assert (patch == patch[:, :, :1, :1]).all()
    torch.testing.assert_close(phi.flatten(1).sum(1), change(model, x, y, 0 * x), atol=1e-3, rtol=1e-3)
    corner = x.clone()
    corner[:, :, :3, :3] = 0  # the corner pixel is in one window alone
    torch.testing.assert_close(seen[:, 0, 0, 0], change(model, x, y, corner))


# Bad input


def test_a_peer_is_refused_as_a_training_attribution_in_one_sentence(make: Make) -> None:
    with pytest.raises(ValueError, match=r"^\w+ cannot be trained through, it gives no gradient to the model's param"):
        make()(network(), X, Y)


def test_a_target_outside_the_outputs_or_of_a_wrong_length_is_refused(make: Make) -> None:
    with torch.no_grad():
        with pytest.raises(ValueError, match=r"an integer from 0 to 2; found torch\.int64 .* to 3"):
            make()(network(), X, Y + 1)
        with pytest.raises(ValueError, match=r"each of the 7 rows of x; found the shape \(2,\)"):
            make()(network(), X, Y[:2])


def test_a_constant_model_has_nothing_to_explain(make: Make) -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(len(x), 3)

    with torch.no_grad(), pytest.raises(ValueError, match="does not depend on its input"):
        make()(Constant(), X, Y)


def test_deep_lift_refuses_a_module_that_is_used_twice() -> None:
    relu = nn.ReLU()
    shared = nn.Sequential(nn.Linear(4, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 3))
    with torch.no_grad(), pytest.raises(RuntimeError, match="module is being used more than once"):
        peer.deep_lift()(shared, X, Y)


@pytest.mark.parametrize(
    ("explain", "x", "sentence"),
    [
        (peer.occlusion(window=9), torch.rand(1, 1, 8, 8), "a window of 9 pixels does not fit images of 8 x 8"),
        (peer.kernel_shap(patch=8), torch.rand(1, 1, 8, 8), r"two features or patches to choose from; .* \(1, 8, 8\)"),
    ],
)
def test_windows_and_patches_that_do_not_fit_are_refused(explain: Peer, x: Tensor, sentence: str) -> None:
    with torch.no_grad(), pytest.raises(ValueError, match=sentence):
        explain(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), x, Y[:1])


def test_settings_that_make_no_sense_are_refused_when_they_are_given() -> None:
    with pytest.raises(ValueError, match="k is a whole number, 1 or more; found 0"):
        peer.gradient_shap(BACKGROUND, 0)
    with pytest.raises(ValueError, match="stride is a whole number, 1 or more; found 0"):
        peer.occlusion(stride=0)
    with pytest.raises(ValueError, match="samples is a whole number, 1 or more; found 0"):
        peer.kernel_shap(0)
    with pytest.raises(ValueError, match="baseline is a number, a row, mean or blurred; found 'black'"):
        peer.deep_lift("black")


def test_without_captum_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(ImportError, match=r"^DeepLift is captum's: pip install 'attrpriors\[captum\]'$") as told:
        peer.deep_lift()
    extra = re.search(r"\[(\w+)\]", str(told.value))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extra is not None
    assert extras[extra[1]] == ["captum"]
