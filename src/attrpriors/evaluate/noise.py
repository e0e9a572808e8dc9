"""NOISE: what is put on images to see what a network still reads. x (N, C, H, W) -> x, by a generator."""

import torch
from torch import Tensor


def salt_and_pepper(x: Tensor, share: float | Tensor, generator: torch.Generator) -> Tensor:
    """A `share` of each image's pixels set to the lowest or highest value of all, equally often. x (N, C, H, W).

    The share and `sd` of gaussian are one for all images or, (N, 1, 1, 1), one for each.
    """
    draw = torch.rand((len(x), 1, *x.shape[2:]), generator=generator).to(x.device)
    noisy = torch.where(draw < share / 2, x.amin((0, 2, 3), keepdim=True), x)
    return torch.where(draw > 1 - share / 2, x.amax((0, 2, 3), keepdim=True), noisy)


def gaussian(x: Tensor, sd: float | Tensor, generator: torch.Generator) -> Tensor:
    """Normal noise of standard deviation `sd`, in the unit of the inputs, added to every pixel. x (N, C, H, W)."""
    return x + sd * torch.randn(x.shape, generator=generator).to(x)


NOISE = {"salt_and_pepper": salt_and_pepper, "gaussian": gaussian}
