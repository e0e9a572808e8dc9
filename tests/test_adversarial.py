from dataclasses import replace
from functools import partial

import pytest
import torch
from captum.robust import FGSM
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import Adam

from attrpriors.attribution import SmoothGrad
from attrpriors.data import Dataset
from attrpriors.model import cnn, linear
from attrpriors.prior import NoPrior, Prior
from attrpriors.train import Trainer, task_loss
from attrpriors.train.adversarial import Adversarial, Pixels, adversarial
from attrpriors.train.atex import Atex
from attrpriors.train.continued import Continued

SETTINGS = {"epochs": 2, "batch_size": 6, "optimizer": partial(Adam, lr=0.01)}
ATEX = {"direction": partial(SmoothGrad, k=2, noise=0.1), "reach": 0.2, "along": [-1.0, 0.0], "copies": 2}
ATEX |= {"temperature": 4.0, "student_temperature": 4.0}
SCHEMES = {
    "continued": Continued,
    "adversarial": partial(Adversarial, eps=0.1),
    "PGD": partial(Adversarial, eps=0.1, steps=3),
    "atex": partial(Atex, **ATEX),
    "noise": partial(Atex, **ATEX | {"direction": None}),
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(data: Dataset) -> nn.Module:
    torch.manual_seed(7)
    return cnn(data, channels=[3], hidden=8, kernel=3, batch_norm=False, activation=nn.Tanh)


def trained(name: str, data: Dataset, prior: Prior | None = None, finetune: int = 2) -> dict[str, Tensor]:
    model = network(data)
    SCHEMES[name](**SETTINGS, generator=seeded(5), finetune=finetune).fit(model, data, prior or NoPrior())
    return model.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


class Watcher:
    """A prior that costs nothing and remembers what it was shown."""

    weight = 0.0

    def __init__(self) -> None:
        self.shown: list[Tensor] = []

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        self.shown.append(x)
        return torch.zeros(())


def box(low: list[float], high: list[float]) -> Pixels:
    return Pixels(torch.tensor(low)[:, None, None], torch.tensor(high)[:, None, None])


# Bounds


def test_the_range_of_the_pixels_is_that_of_each_channel_of_the_training_images(images: Dataset) -> None:
    x = torch.cat([images.train.x, 3 * images.train.x - 1], 1)
    pixels = Pixels.of(replace(images, train=replace(images.train, x=x)), "a test")
    low, high = images.train.x.min(), images.train.x.max()
    torch.testing.assert_close(pixels.low.flatten(), torch.stack([low, 3 * low - 1]))
    torch.testing.assert_close(pixels.high.flatten(), torch.stack([high, 3 * high - 1]))


def test_a_point_moves_no_farther_than_its_bound_and_stays_in_the_range() -> None:
    pixels, centre = box([0, -1], [1, 3]), torch.tensor([[[[0.5, 0.05]], [[2.0, 2.9]]]])  # (1, 2, 1, 2)
    moved = pixels.within(centre + torch.tensor([[[[9.0, -9.0]], [[-9.0, 0.3]]]]), centre, 0.1)
    torch.testing.assert_close(moved, torch.tensor([[[[0.6, 0.0]], [[1.6, 3.0]]]]))
    near = centre + torch.tensor([[[[-0.04, 0.04]], [[0.1, -0.1]]]])
    assert torch.equal(pixels.within(near, centre, 0.1), near)


def test_a_centre_outside_the_range_is_a_point_that_is_allowed() -> None:
    centre = torch.tensor([[[[1.2, -0.1]]]])
    assert torch.equal(box([0], [1]).within(centre, centre, 0.05), centre)


def test_tables_have_no_pixels(binary: Dataset) -> None:
    with pytest.raises(ValueError, match=r"^adversarial training needs images .* binary has features of shape \(6,\)"):
        SCHEMES["adversarial"](**SETTINGS, generator=seeded(5), finetune=1).fit(linear(binary), binary, NoPrior())


# Attacks on the prediction


def test_one_step_is_the_fast_gradient_sign_method_of_captum(images: Dataset) -> None:
    model, pixels, (x, y) = network(images).eval(), Pixels.of(images, "a test"), (images.test.x, images.test.y)
    low, high = float(pixels.low), float(pixels.high)
    x = x.clamp(low, high)
    ours = adversarial(model, x, y, "classes", pixels, eps=0.25)
    theirs = FGSM(model, nn.CrossEntropyLoss(reduction="none"), low, high).perturb(
        x.clone().requires_grad_(), 0.25 * (high - low), y
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("steps", [1, 4])
def test_on_a_linear_model_an_attack_finds_the_worst_corner(steps: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    x, y, pixels = torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 0, 1, 1]), box([0], [1])
    weight = model[1].weight.detach()
    away = (weight[1 - y] - weight[y]).sign().view_as(x)  # towards the other class
    moved = adversarial(model, x, y, "classes", pixels, 0.2, steps, seeded(0))
    torch.testing.assert_close(moved, (x + 0.2 * away).clamp(0, 1))


def test_an_attack_leaves_the_model_as_it_was(images: Dataset) -> None:
    model = network(images).train()
    adversarial(model, images.test.x, images.test.y, "classes", Pixels.of(images, "a test"), 0.1)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_adversarial_training_minimises_the_mean_loss_of_the_images_and_of_the_attacked_ones(images: Dataset) -> None:
    model, (x, y) = network(images).eval(), (images.test.x, images.test.y)
    trainer = Adversarial(**SETTINGS, generator=seeded(5), finetune=1, eps=0.1)
    trainer.draws = seeded(1)
    trainer.begin(model, images)
    moved = adversarial(model, x, y, "classes", trainer.pixels, 0.1)
    expected = F.cross_entropy(model(torch.cat([x, moved])), torch.cat([y, y]))
    torch.testing.assert_close(trainer.loss(model, x, y, "classes"), expected)
    assert task_loss(model(moved), y, "classes") > task_loss(model(x), y, "classes")


# Training that goes on


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_starts_from_the_plainly_trained_network(name: str, images: Dataset) -> None:
    plain, start = network(images), {}
    Trainer(**SETTINGS, generator=seeded(5)).fit(plain, images, NoPrior())

    class First(Watcher):
        def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            start.update({} if start else {key: value.clone() for key, value in model.state_dict().items()})
            return super().__call__(model, x, y)

    end = trained(name, images, First())
    assert same(start, plain.state_dict())
    assert not same(end, start)


def test_all_schemes_see_the_same_batches(images: Dataset) -> None:
    shown = {}
    for name in SCHEMES:
        watcher = Watcher()
        trained(name, images, watcher)
        shown[name] = torch.cat(watcher.shown)
        assert len(shown[name]) == 2 * len(images.train)  # both later epochs, none before
    assert all(torch.equal(seen, shown["continued"]) for seen in shown.values())


@pytest.mark.parametrize("name", SCHEMES)
def test_the_same_seed_gives_the_same_bytes_and_the_last_epoch_stays_whatever_validation_says(
    name: str, images: Dataset
) -> None:
    misled = replace(images, val=replace(images.val, y=images.val.y.roll(1)))
    ends = []
    for data in (images, misled):
        model, trainer = network(data), SCHEMES[name](**SETTINGS | {"epochs": 1}, generator=seeded(5), finetune=3)
        history = trainer.fit(model, data, NoPrior())
        assert list(history["epoch"]) == [1, 2, 3, 4]
        assert list(history["phase"]) == ["plain", "prior", "prior", "prior"]
        ends.append(model.state_dict())
    assert same(*ends)


def test_the_prior_is_on_in_the_later_epochs(images: Dataset) -> None:
    class Shrink:
        weight = 1.0

        def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            return sum((p.square().sum() for p in model.parameters()), torch.zeros(()))

    def size(state: dict[str, Tensor]) -> float:
        return float(sum(value.square().sum() for value in state.values()))

    assert size(trained("adversarial", images, Shrink())) < size(trained("adversarial", images)) / 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"finetune": 0}, "train.finetune is 1 or more where training is continued; found 0"),
        ({"eps": 0.0}, r"train.eps is a share of the pixels' range, above 0 and at most 1; found 0\.0"),
        ({"eps": 1.5}, r"train.eps is a share of the pixels' range, above 0 and at most 1; found 1\.5"),
        ({"steps": 0}, "train.steps is a whole number, 1 or more; found 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adversarial(**SETTINGS | {"generator": seeded(5), "finetune": 1, "eps": 0.1} | settings)


def test_a_linear_network_is_trained_by_every_scheme(images: Dataset) -> None:
    for scheme in SCHEMES.values():
        history = scheme(**SETTINGS, generator=seeded(5), finetune=1).fit(linear(images), images, NoPrior())
        assert history["loss"].gt(0).all()
