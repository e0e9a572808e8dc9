"""What is done to the images of a step: exact moves, seeded draws, and nothing else of the training moves."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision

from attrpriors.data import Dataset
from attrpriors.evaluate import noise
from attrpriors.model import linear
from attrpriors.prior import NoPrior
from attrpriors.train import Ensemble, Trainer
from attrpriors.train.augment import (
    Augmentation,
    crop,
    flip,
    gaussian,
    in_turn,
    noisy,
    rotate,
    salt_and_pepper,
    shift,
)
from attrpriors.train.continued import Continued

ALL = [shift(2), rotate(15), crop(0.8), flip(), salt_and_pepper(0.3), gaussian(0.1), noisy(0.3, 0.1)]
ALL += [in_turn([shift(1), rotate(5)])]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int = 40, height: int = 7, width: int = 9) -> Tensor:
    return torch.rand(count, 3, height, width, generator=seeded(1))


class Shown(NoPrior):
    """No prior, which remembers the images of each step."""

    def __init__(self) -> None:
        self.x: list[Tensor] = []

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        self.x.append(x)
        return super().__call__(model, x, y)


def fitted(data: Dataset, augment: Augmentation | None, kind: Callable[..., Trainer] = Trainer) -> tuple[Shown, Tensor]:
    """What the steps of two epochs showed, and the weights after them."""
    torch.manual_seed(0)
    model, shown = linear(data), Shown()
    kind(2, 6, partial(SGD, lr=0.1), seeded(5), augment=augment).fit(model, data, shown)
    return shown, torch.cat([weight.flatten() for weight in model.parameters()])


@pytest.mark.parametrize("augment", ALL)
def test_an_augmentation_is_drawn_by_its_generator_and_leaves_shape_and_input_alone(augment: Augmentation) -> None:
    x = rows()
    before = x.clone()
    one, again, other = augment(x, seeded()), augment(x, seeded()), augment(x, seeded(2))
    assert one.shape == x.shape
    assert torch.equal(x, before)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_shift_moves_every_image_by_its_own_whole_pixels_and_repeats_the_edge() -> None:
    x = rows()
    moved = shift(2)(x, seeded())
    padded = torchvision.pad(x, [2, 2], padding_mode="edge")
    places = [(down, right) for down in range(5) for right in range(5)]
    found = [
        [place for place in places if torch.equal(image, torchvision.crop(frame, *place, 7, 9))]
        for image, frame in zip(moved, padded, strict=True)
    ]
    assert all(len(one) == 1 for one in found)
    assert {place for (place,) in found} > {(0, 1), (4, 3)}  # both ends of both axes
    assert len({place for (place,) in found}) > 15


def test_a_rotation_turns_every_image_by_its_own_angle_as_torchvision_does() -> None:
    x = rows(4)
    angles = 30 * (2 * torch.rand(4, generator=seeded()) - 1)
    turned = rotate(30)(x, seeded())
    for image, one, angle in zip(turned, x, angles.tolist(), strict=True):
        pair = (one, torch.ones(1, 7, 9))
        expected, whole = (torchvision.rotate(it, -angle, InterpolationMode.BILINEAR) for it in pair)
        inside = whole[0] > 1 - 1e-6  # where nothing came in at the edge
        assert inside.float().mean() > 0.4
        torch.testing.assert_close(image[:, inside], expected[:, inside], atol=1e-4, rtol=0)
    assert turned.amax() <= x.amax()  # what comes in is of the image


def test_a_crop_is_a_part_of_the_image_of_at_least_the_given_size_anywhere_in_it() -> None:
    height, width = 6, 9
    ramps = torch.stack(torch.meshgrid(torch.arange(6.0), torch.arange(9.0), indexing="ij")).repeat(200, 1, 1, 1)
    down, right = crop(0.5)(ramps, seeded()).unbind(1)
    steps = down[:, 3, 4] - down[:, 2, 4], right[:, 2, 5] - right[:, 2, 4]
    torch.testing.assert_close(steps[0], steps[1])  # the part is not stretched
    assert steps[0].min() > 0.5 - 1e-5
    assert steps[0].max() < 1
    assert steps[0].std() > 0.1
    for middle, size in ((down[:, 2:4, 4].mean(1), height), (right[:, 2, 4], width)):
        room = (1 - steps[0]) * size / 2
        off = middle - (size - 1) / 2
        assert (off.abs() <= room + 1e-4).all()
        assert (off / room).min() < -0.9
        assert (off / room).max() > 0.9


def test_half_of_the_images_are_mirrored() -> None:
    x = rows(200)
    mirrored = (flip()(x, seeded()) == x.flip(3)).flatten(1).all(1)
    assert torch.equal(flip()(x, seeded())[~mirrored], x[~mirrored])
    assert 80 < mirrored.sum() < 120


def test_noise_in_training_is_the_noise_of_the_evaluation() -> None:
    x = rows()
    assert torch.equal(salt_and_pepper(0.2)(x, seeded()), noise.salt_and_pepper(x, 0.2, seeded()))
    assert torch.equal(gaussian(0.2)(x, seeded()), noise.gaussian(x, 0.2, seeded()))


def test_steps_follow_one_another_on_one_generator() -> None:
    x, draws = rows(), seeded()
    expected = gaussian(0.1)(shift(1)(x, draws), draws)
    assert torch.equal(in_turn([shift(1), gaussian(0.1)])(x, seeded()), expected)


def test_loss_and_prior_see_the_changed_images_and_the_order_of_the_batches_stays(images: Dataset) -> None:
    plain, weights = fitted(images, None)
    seen: list[Tensor] = []

    def brighter(x: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(torch.rand((), generator=generator))
        return x + 1

    changed, others = fitted(images, brighter)
    assert all(torch.equal(a + 1, b) for a, b in zip(plain.x, changed.x, strict=True))
    assert not torch.equal(weights, others)
    assert len(set(map(float, seen))) == len(seen) == 8  # new draws in every step of both epochs
    _, again = fitted(images, lambda x, generator: x)
    assert torch.equal(weights, again)


def test_continued_training_goes_on_with_the_draws_of_the_plain_epochs(images: Dataset) -> None:
    drawn: list[float] = []

    def watched(x: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(float(torch.rand((), generator=generator)))
        return x

    history = Continued(2, 6, partial(SGD, lr=0.1), seeded(), finetune=1, augment=watched).fit(
        linear(images), images, NoPrior()
    )
    assert isinstance(history, pd.DataFrame)
    assert len(set(drawn)) == len(drawn) == 12


@pytest.mark.parametrize(
    ("make", "value"),
    [(shift, 0), (shift, 1.5), (shift, True), (rotate, 0), (rotate, float("nan")), (gaussian, -1.0), (gaussian, "a")],
)
def test_a_setting_out_of_its_range_is_refused(make: Callable[[object], Augmentation], value: object) -> None:
    with pytest.raises(ValueError, match=r"augment: \w+ is a .*found"):
        make(value)


def test_a_share_above_1_is_refused() -> None:
    for make in (salt_and_pepper, crop):
        with pytest.raises(ValueError, match=r"share is 1 at most; found 1\.5"):
            make(1.5)


def test_an_ensemble_takes_no_augmentation() -> None:
    with pytest.raises(ValueError, match=r"single networks"):
        Ensemble(1, None, partial(SGD, lr=0.1), seeded(), augment=shift(1))


def test_noisy_images_are_a_third_clean_a_third_peppered_and_a_third_disturbed_of_many_levels() -> None:
    x = torch.rand(3000, 1, 10, 10, generator=seeded(1)) * 0.5 + 0.25
    x[0, 0, 0, :2] = torch.tensor([0.0, 1.0])  # lowest and highest value of all
    changed = noisy(0.4, 0.2)(x, seeded())
    extreme = ((changed == 0) | (changed == 1)).flatten(1).double().mean(1)
    clean, peppered = (changed == x).flatten(1).all(1), (extreme > 0) & (changed == x).flatten(1).any(1)
    sd = (changed - x)[~clean & ~peppered].flatten(1).std(1)
    assert [part.double().mean().item() for part in (clean, peppered)] == pytest.approx([1 / 3, 1 / 3], abs=0.03)
    assert extreme[peppered].mean().item() == pytest.approx(0.2, abs=0.01)  # uniform up to 0.4
    assert sd.mean().item() == pytest.approx(0.1, abs=0.01)
    assert extreme[peppered].max() > 0.35
    assert sd.max() > 0.18
