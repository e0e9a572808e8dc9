"""ATEX: what its loss is made of, and that it is zero where the student follows the teacher along the explanation."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, distributions, nn
from torch.optim import Adam

from attrpriors.attribution import Gradient, SmoothGrad
from attrpriors.data import Dataset
from attrpriors.model import linear
from attrpriors.prior import NoPrior
from attrpriors.train import Trainer
from attrpriors.train.atex import Atex, orthogonal


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scheme(**changes: object) -> Atex:
    settings = {"epochs": 2, "batch_size": 6, "optimizer": partial(Adam, lr=0.01), "generator": seeded(5)}
    settings |= {"finetune": 1, "direction": Gradient, "reach": 0.2, "along": [-1.0, 0.0], "copies": 3}
    return Atex(**settings | {"temperature": 2.0, "student_temperature": 1.0} | changes)  # type: ignore[arg-type]


def begun(teacher: nn.Module, data: Dataset, **changes: object) -> Atex:
    trainer = scheme(**changes)
    trainer.draws = seeded(1)
    trainer.begin(teacher, data)
    return trainer


class Ridge(nn.Module):
    """Scores that depend on the input along one direction alone: o-th score c_o tanh(w x)."""

    def __init__(self, shape: tuple[int, ...], scale: float = 1.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(shape, generator=seeded(3)))
        self.c = nn.Parameter(scale * torch.tensor([1.0, -2.0, 0.5]))
        self.asked: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(x.detach())
        return (x * self.w).flatten(1).sum(1, keepdim=True).tanh() * self.c


# The noise across the explanation


def test_the_noise_is_exactly_orthogonal_to_the_direction_and_loses_nothing_else() -> None:
    u, s = (torch.randn(6, 2, 4, 3, generator=seeded(i), dtype=torch.float64) for i in (0, 1))
    across = orthogonal(u, s)
    torch.testing.assert_close((across * s).flatten(1).sum(1), torch.zeros(6, dtype=torch.float64))
    ratio = (u - across) / s  # what is lost lies along s
    torch.testing.assert_close(ratio, ratio[:, :1, :1, :1].expand_as(ratio))


def test_without_a_direction_no_part_of_the_noise_is_taken_away() -> None:
    u = torch.randn(2, 1, 3, 3, generator=seeded(0))
    assert torch.equal(orthogonal(u, torch.zeros_like(u)), u)


def test_the_explanation_reaches_as_far_as_told_in_every_image(images: Dataset) -> None:
    model, (x, y) = Ridge(images.shape), (images.test.x, images.test.y)
    trainer = begun(model, images)
    s = trainer.explanation(model, x, y)
    assert not s.requires_grad
    torch.testing.assert_close(s.abs().amax((1, 2, 3)), (0.2 * trainer.pixels.width).expand(len(x), 1, 1).flatten())
    sign = model.c[y].sign()[:, None, None, None]
    torch.testing.assert_close(
        nn.functional.normalize(s.flatten(1)), nn.functional.normalize((sign * model.w).flatten(1))
    )


def test_an_image_without_a_slope_has_no_direction(images: Dataset) -> None:
    model = Ridge(images.shape, scale=0.0)
    s = begun(model, images).explanation(model, images.test.x, images.test.y)
    assert torch.equal(s, torch.zeros_like(s))


# The loss


@pytest.mark.parametrize("student_temperature", [1.0, 2.0])
@pytest.mark.parametrize("along", [[-1.0, 0.0], [0.0], [-0.5, 0.0, 0.7]])
def test_following_the_teacher_along_the_explanation_and_constant_across_it_costs_nothing(
    images: Dataset, along: list[float], student_temperature: float
) -> None:
    teacher = Ridge(images.shape)
    student = copy.deepcopy(teacher)
    student.c.data *= student_temperature / 2.0  # the temperature of the teacher is 2
    trainer = begun(teacher, images, along=along, student_temperature=student_temperature)
    x, y = images.test.x, images.test.y
    assert trainer.loss(student, x, y, "classes").abs() < 1e-6
    isotropic = begun(teacher, images, along=along, direction=None)
    assert isotropic.loss(student, x, y, "classes") > 1e-3


def test_the_loss_is_the_mean_divergence_of_the_student_from_the_tempered_teacher(images: Dataset) -> None:
    torch.manual_seed(0)
    teacher, student, (x, y) = Ridge(images.shape), Ridge(images.shape, 0.3), (images.test.x, images.test.y)
    trainer = begun(teacher, images)
    loss = trainer.loss(student, x, y, "classes")
    points = student.asked[-1]
    s = trainer.explanation(student, x, y)
    places = torch.cat([x - s, x])  # the places of train.along
    assert points.shape == (3 * 2 * len(x), *images.shape)
    told = distributions.Categorical(logits=(teacher(places) / 2.0).repeat(3, 1))
    found = distributions.Categorical(logits=student(points))
    torch.testing.assert_close(loss, distributions.kl_divergence(told, found).mean())
    noise = points - places.repeat(3, 1, 1, 1)
    cosine = nn.functional.cosine_similarity(noise.flatten(1), s.repeat(6, 1, 1, 1).flatten(1))
    assert cosine.abs().max() < 1e-5
    assert noise.std() == pytest.approx(float(0.2 * trainer.pixels.width) / 3**0.5, rel=0.1)


def test_the_direction_is_the_students_and_the_scores_the_plain_networks(images: Dataset) -> None:
    model = linear(images)
    plain = copy.deepcopy(model)
    Trainer(2, 6, partial(Adam, lr=0.01), seeded(5)).fit(plain, images, NoPrior())
    trainer = scheme(direction=partial(SmoothGrad, k=2))
    trainer.fit(model, images, NoPrior())
    assert all(
        torch.equal(one, other) for one, other in zip(plain.parameters(), trainer.teacher.parameters(), strict=True)
    )
    assert not any(parameter.requires_grad for parameter in trainer.teacher.parameters())
    assert trainer.explain is not None
    assert trainer.explain.generator is trainer.draws  # type: ignore[attr-defined]
    student = Ridge(images.shape)
    torch.testing.assert_close(
        begun(linear(images), images).explanation(student, images.test.x, images.test.y),
        begun(Ridge(images.shape), images).explanation(student, images.test.x, images.test.y),
    )


def test_a_student_of_noise_in_every_direction_flattens_where_atex_keeps_the_slope(images: Dataset) -> None:
    """The student's slope along the explanation, after training on noise larger than the way between classes."""
    slopes = []
    for direction in (Gradient, None):
        model = Ridge(images.shape)
        scheme(direction=direction, reach=1.0, finetune=40, temperature=1.0).fit(model, images, NoPrior())
        slopes.append(float((model.w.norm() * model.c.norm()).detach()))
    assert slopes[1] < 0.8 * slopes[0]


# Bad input


def test_atex_is_for_classes_and_images(binary: Dataset, images: Dataset) -> None:
    with pytest.raises(ValueError, match=r"^atex needs classes to predict; the output of binary is 'binary'$"):
        begun(linear(binary), binary)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reach": 0.0}, r"train.reach is a finite number above 0; found 0\.0"),
        ({"temperature": float("inf")}, "train.temperature is a finite number above 0; found inf"),
        ({"copies": 0}, "train.copies is a whole number, 1 or more; found 0"),
        ({"along": []}, "places in train.along is a whole number, 1 or more; found 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scheme(**settings)
