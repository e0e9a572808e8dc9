import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.optim import Adam

from attrpriors.attribution import Gradient, IntegratedGradients
from attrpriors.data import Dataset
from attrpriors.evaluate import better
from attrpriors.evaluate.manipulation import (
    ATTACK,
    Bound,
    Manipulation,
    lowered,
    noise,
    rank_correlation,
    saliency_of,
    ssim,
    top_kept,
    top_share,
    top_sum,
)
from attrpriors.model import cnn, linear
from attrpriors.prior import NoPrior
from attrpriors.train import Trainer
from attrpriors.train.adversarial import Pixels, adversarial

BOX = Pixels(torch.tensor([[[-1.0]]]), torch.tensor([[[3.0]]]))  # a range of 4: eps 0.1 is 0.4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Quadratic(nn.Module):
    """Scores (sum a x^2 / 2, rival): the saliency of the first is |a x|."""

    def __init__(self, a: list[float], rival: float) -> None:
        super().__init__()
        self.a, self.rival = nn.Parameter(torch.tensor(a)), rival

    def forward(self, x: Tensor) -> Tensor:
        score = (self.a * x.flatten(1).square()).sum(1) / 2
        return torch.stack([score, torch.full_like(score, self.rival)], 1)


@pytest.fixture(scope="module")
def network(images: Dataset) -> nn.Module:
    """Trained to know the three classes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 3))
    Trainer(30, 6, partial(Adam, lr=0.01), seeded()).fit(model, images, NoPrior())
    return model


def bound(eps: float, top: int, steps: int, pixels: Pixels = BOX) -> Bound:
    return Bound(pixels, eps, top, steps, seeded())


def attacked(model: nn.Module, images: Dataset, eps: float, attack: str = "top_sum") -> tuple[Tensor, Tensor, Tensor]:
    x = images.test.x
    y = model(x).detach().argmax(1)
    return x, y, ATTACK[attack](model, x, y, bound(eps, 10, 20, Pixels.of(images, "a test")))


# What the attack lowers


def test_objectives_by_hand() -> None:
    now, before = torch.tensor([[1.0, 4.0, 2.0, 3.0]]), torch.tensor([[9.0, 0.0, 0.0, 8.0]])
    assert top_sum(now, before, 2).tolist() == [7.0]
    assert top_share(now, before, 2).tolist() == [pytest.approx(4 / 10)]


def test_the_strongest_pixel_of_a_quadratic_model_goes_down_to_the_bound_on_either_side() -> None:
    """Saliency |a x|: the strongest pixel moves towards 0 by eps times the range, the others have no slope."""
    model = Quadratic([10.0, 1.0, 1.0, 1.0], rival=-1.0)
    for sign in (1, -1):  # a positive pixel falls by the bound, a negative one rises by it
        x = torch.tensor([0.9 * sign, 0.3, -0.2, 0.1]).reshape(1, 1, 2, 2)
        moved = lowered(top_sum, model, x, torch.tensor([0]), bound(0.1, top=1, steps=6))
        torch.testing.assert_close(moved - x, torch.tensor([-0.4 * sign, 0.0, 0.0, 0.0]).reshape(1, 1, 2, 2))
        saliency = saliency_of(model, moved, torch.tensor([0]))
        torch.testing.assert_close(saliency.detach().flatten()[0], torch.tensor(5.0))


def test_the_share_of_the_strongest_pixels_falls_as_the_others_rise() -> None:
    x = torch.tensor([0.9, 0.3, -0.2, 0.1]).reshape(1, 1, 2, 2)
    model = Quadratic([10.0, 1.0, 1.0, 1.0], rival=-1.0)
    moved = lowered(top_share, model, x, torch.tensor([0]), bound(0.1, top=1, steps=6))
    torch.testing.assert_close(moved - x, torch.tensor([-0.4, 0.4, -0.4, 0.4]).reshape(1, 1, 2, 2))


def test_a_step_that_would_change_the_prediction_is_not_made_and_shorter_ones_are_tried() -> None:
    """The score 5 x^2 falls to the rival's 3.2 at x = 0.8: beyond 0.1 of the 0.4 that the bound allows."""
    model, x = Quadratic([10.0, 0.0, 0.0, 0.0], rival=3.2), torch.tensor([0.9, 0.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    assert model(x - 0.2).argmax(1) == 1
    moved = lowered(top_sum, model, x, torch.tensor([0]), bound(0.1, top=1, steps=20))
    assert model(moved).argmax(1) == 0
    assert 0.8 < float(moved[0, 0, 0, 0]) < 0.801


def test_noise_moves_every_pixel_by_the_bound_unless_the_class_would_change() -> None:
    x = torch.tensor([0.9, 0.3, -0.2, 2.9]).reshape(1, 1, 2, 2).repeat(50, 1, 1, 1)
    y = torch.zeros(50, dtype=torch.int64)
    moved = noise(Quadratic([10.0, 1.0, 1.0, 0.0], rival=-1.0), x, y, bound(0.1, 1, 1)) - x
    assert set(moved[:, 0, 0, 0].mul(10).round().tolist()) == {-4.0, 4.0}
    assert set(moved[:, 0, 1, 1].mul(10).round().tolist()) == {-4.0, 1.0}  # the range ends at 3
    model = Quadratic([10.0, 0.0, 0.0, 0.0], rival=3.2)  # x = 0.8
    moved = noise(model, x, y, bound(0.1, 1, 1))
    assert set((moved - x)[:, 0, 0, 0].mul(10).round().tolist()) == {0.0, 4.0}
    assert (model(moved).argmax(1) == 0).all()


@pytest.mark.parametrize("attack", ATTACK)
@pytest.mark.parametrize("eps", [0.02, 0.3])
def test_bound_range_and_predictions_are_kept(network: nn.Module, images: Dataset, attack: str, eps: float) -> None:
    pixels = Pixels.of(images, "a test")
    x, y, moved = attacked(network, images, eps, attack)
    assert (moved - x).abs().max() <= eps * float(pixels.width) + 1e-6
    assert (moved >= torch.minimum(x, pixels.low)).all()
    assert (moved <= torch.maximum(x, pixels.high)).all()
    assert torch.equal(network(moved).argmax(1), y)
    assert not moved.requires_grad


@pytest.mark.parametrize("objective", [top_sum, top_share])
def test_the_attack_lowers_its_objective_with_the_bound_and_farther_than_noise(
    network: nn.Module, images: Dataset, objective: Callable[[Tensor, Tensor, int], Tensor]
) -> None:
    values = []
    for eps, kind in ((0.2, objective.__name__), (0.1, objective.__name__), (0.2, "noise")):
        x, y, moved = attacked(network, images, eps, kind)
        before, after = (saliency_of(network, points, y).detach().flatten(1) for points in (x, moved))
        values.append(float(objective(after, before, 10).mean()))
    assert values[0] < values[1] < float(objective(before, before, 10).mean())
    assert values[0] < values[2] - 0.01


def test_the_attack_leaves_the_model_as_it_was(network: nn.Module, images: Dataset) -> None:
    model = copy.deepcopy(network).train()
    model.zero_grad()
    model[1].bias.requires_grad_(False)
    attacked(model, images, 0.1)
    assert all(module.training for module in model.modules())
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["1.bias"]
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "build",
    [
        linear,
        partial(cnn, channels=[2], hidden=4, kernel=3, batch_norm=False),
        lambda data: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)),
    ],
    ids=["linear", "cnn with ReLU", "ReLU in place"],
)
def test_an_explanation_without_a_slope_cannot_be_attacked(
    build: Callable[[Dataset], nn.Module], images: Dataset
) -> None:
    with pytest.raises(ValueError, match=r"^the saliency has no slope to attack it by: .* smooth activation, as tanh$"):
        attacked(build(images), images, 0.1)


# Similarity of two maps


def test_the_share_of_strongest_pixels_kept_by_hand() -> None:
    before = torch.tensor([[[9.0, 8.0], [1.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]])
    after = torch.tensor([[[0.0, 8.0], [9.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]])
    assert top_kept(before, after, 2) == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert top_kept(before, before.flip(1), 1) == 0


def test_the_rank_correlation_is_that_of_scipy_ties_included() -> None:
    before, after = (torch.randint(0, 6, (3, 4, 5), generator=seeded(i)).float() for i in (0, 1))
    pairs = zip(before.flatten(1), after.flatten(1), strict=True)
    expected = np.mean([stats.spearmanr(one, other).statistic for one, other in pairs])
    assert rank_correlation(before, after) == pytest.approx(expected)
    assert rank_correlation(before, 3 * before) == pytest.approx(1)


def test_ssim_is_that_of_scikit_image() -> None:
    """The numbers are of skimage.metrics.structural_similarity(..., gaussian_weights=True, sigma=1.5, full=True)."""
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    parabola = (x - 10) ** 2 + y
    one, other = torch.stack([x * y, parabola]), torch.stack([(x * y).sin() + 1, parabola.T])
    for i, expected in enumerate((0.02090364617789243, 0.041270855869580514)):
        assert ssim(one[i : i + 1], other[i : i + 1]) == pytest.approx(expected, rel=1e-5)
    assert ssim(one, other) == pytest.approx((0.02090364617789243 + 0.041270855869580514) / 2, rel=1e-5)


def test_maps_that_differ_in_scale_alone_are_alike() -> None:
    one = torch.rand(2, 12, 12, generator=seeded())
    assert ssim(one, 7 * one) == pytest.approx(1)


# The whole evaluation


def evaluation(**changes: object) -> Manipulation:
    settings = {"attacks": list(ATTACK), "eps": [0.05, 0.1], "fgsm": [0.1], "attacked": 6, "top": 10}
    return Manipulation(**settings | {"steps": 4, "generator": seeded(3), "chunk": 4} | changes)  # type: ignore[arg-type]


def test_the_rows_are_predictions_and_every_similarity_at_every_bound(network: nn.Module, images: Dataset) -> None:
    rows, arrays = evaluation()(network, images, IntegratedGradients(steps=3))
    table = dict(rows)
    assert len(table) == len(rows)
    names = ["top_kept", "ruler_top_kept", "rank_correlation", "ssim"]
    levels = [f"{name}/{attack}={eps}" for name in names for attack in ATTACK for eps in (0.05, 0.1)]
    plain = ["validation_accuracy", "accuracy", "log_loss", "gini", "total_variation", "accuracy/fgsm=0.1"]
    assert sorted(table) == sorted(plain + levels)
    assert all(better(metric) for metric in table)
    assert all(table[metric] <= 1 for metric in levels)
    x = adversarial(network, images.test.x, images.test.y, "classes", Pixels.of(images, "a test"), 0.1)
    assert table["accuracy/fgsm=0.1"] == pytest.approx(float((network(x).argmax(1) == images.test.y).float().mean()))
    found = {name: array.shape for name, array in arrays.items()}
    shape = (found["image"][0], 1, 8, 8)
    assert found == dict.fromkeys(("image", "phi", "saliency", "attacked"), shape)


def test_the_ruler_is_measured_at_the_attacked_images(network: nn.Module, images: Dataset) -> None:
    table = dict(evaluation()(network, images, Gradient())[0])  # the attacked explanation itself
    for level in ("top_sum=0.05", "top_share=0.1"):
        assert table[f"ruler_top_kept/{level}"] == table[f"top_kept/{level}"]


def test_the_generator_chooses_the_attacked_images_and_chunks_do_not_matter(
    network: nn.Module, images: Dataset
) -> None:
    one, again, other = (
        evaluation(generator=seeded(seed), chunk=chunk)(network, images, Gradient())[1]["image"]
        for seed, chunk in ((3, 4), (3, 100), (4, 4))
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    rows = [dict(evaluation(chunk=chunk)(network, images, Gradient())[0]) for chunk in (2, 6)]
    assert rows[0] == pytest.approx(rows[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"attacks": ["top_sum", "mass_center"]},
            "evaluate.attacks is of noise, top_sum, top_share; found mass_center",
        ),
        ({"eps": [0.1, 0.0]}, r"bounds are shares above 0 and at most 1; found eps=\[0.1, 0.0\] and fgsm=\[0.1\]"),
        ({"fgsm": [2]}, r"bounds are shares above 0 and at most 1; found .* fgsm=\[2\]"),
        ({"steps": 0}, "evaluate.steps is a whole number, 1 or more; found 0"),
        ({"attacked": "all"}, "evaluate.attacked is a whole number, 1 or more; found 'all'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluation(**settings)


def test_it_needs_images_of_enough_pixels_and_classes(network: nn.Module, images: Dataset, binary: Dataset) -> None:
    with pytest.raises(ValueError, match=r"manipulation needs images .* binary has features of shape"):
        evaluation()(linear(binary), binary, Gradient())
    with pytest.raises(ValueError, match=r"images of 65 pixels or more; .* output 'classes' and images of \(8, 8\)"):
        evaluation(top=65)(network, images, Gradient())
    with pytest.raises(ValueError, match=r"manipulation needs classes .* has the output 'binary'"):
        evaluation()(network, replace(images, output="binary", outputs=1), Gradient())
