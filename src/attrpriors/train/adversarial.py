"""Adversarial examples within a bound on every pixel, and training on them.

Letters: B batch, C channels, H height, W width.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..attribution.gradient import at_least_one, evaluating
from ..data import Dataset, Output
from ..model import image_shape
from . import task_loss
from .continued import Continued


@dataclass(frozen=True)
class Pixels:
    """The range of the training pixels, channel by channel: the unit of every bound eps."""

    low: Tensor  # (C, 1, 1)
    high: Tensor  # (C, 1, 1)

    @classmethod
    def of(cls, data: Dataset, user: str) -> "Pixels":
        """ValueError, in the name of `user`, where the data set does not hold images."""
        image_shape(data, user)
        return cls(data.train.x.amin((0, 2, 3))[:, None, None], data.train.x.amax((0, 2, 3))[:, None, None])

    @property
    def width(self) -> Tensor:
        return self.high - self.low

    def within(self, x: Tensor, centre: Tensor, eps: float) -> Tensor:
        """The point nearest to x within the range and within eps * width of `centre`, pixel by pixel."""
        bound = eps * self.width
        least = torch.minimum(centre, torch.maximum(self.low, centre - bound))  # the centre itself is always allowed
        most = torch.maximum(centre, torch.minimum(self.high, centre + bound))
        return torch.clamp(x, least, most)

    def uniform(self, shape: torch.Size, eps: float, generator: torch.Generator | None) -> Tensor:
        """Noise uniform in [-eps, eps] * width."""
        return eps * self.width * (2 * torch.rand(shape, generator=generator) - 1).to(self.width)


def adversarial(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    output: Output,
    pixels: Pixels,
    eps: float,
    steps: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """x moved within eps to raise the task's loss, (B, C, H, W); the model in eval mode.

    One step: FGSM (Goodfellow et al. 2015, arXiv 1412.6572). Several: PGD (Madry et al. 2018, arXiv 1706.06083), from a
    random start, with steps of 2.5 eps / steps.
    """
    size = eps if steps == 1 else 2.5 * eps / steps
    moved = x if steps == 1 else pixels.within(x + pixels.uniform(x.shape, eps, generator), x, eps)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad(), evaluating(model):
            (slope,) = torch.autograd.grad(task_loss(model(moved), y, output), moved)
        moved = pixels.within(moved.detach() + size * pixels.width * slope.sign(), x, eps)
    return moved


@dataclass(kw_only=True)
class Adversarial(Continued):
    """The loss is the mean of the task's at the images and at adversarial ones made for each step."""

    eps: float  # bound on every pixel, share of the pixels' range
    steps: int = 1  # of the attack; 1 is FGSM, more is PGD
    pixels: Pixels = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(**{"train.steps": self.steps})
        if not 0 < self.eps <= 1:
            raise ValueError(f"train.eps is a share of the pixels' range, above 0 and at most 1; found {self.eps!r}")

    def begin(self, model: nn.Module, data: Dataset) -> None:
        self.pixels = Pixels.of(data, "adversarial training")

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, output: Output) -> Tensor:
        moved = adversarial(model, x, y, output, self.pixels, self.eps, self.steps, self.draws)
        return (task_loss(model(x), y, output) + task_loss(model(moved), y, output)) / 2
