"""AUGMENT: what is done to the images of a training step: (x (B, C, H, W), generator) -> x of the same shape.

Every image gets its own draw. What comes in at an edge is the nearest pixel of that edge: images have no one value for
"nothing". Letters: B batch, C channels, H height, W width.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..evaluate import noise

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def shift(pixels: int) -> Augmentation:
    """Moves by a whole number of pixels, at most `pixels` up or down and left or right."""
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 1:
        raise ValueError(f"augment: pixels is a whole number, 1 or more; found {pixels!r}")

    def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
        by = torch.randint(-pixels, pixels + 1, (2, len(x), 1), generator=generator).to(x.device)
        rows, columns = (
            (torch.arange(size, device=x.device) - move).clamp(0, size - 1)
            for size, move in zip(x.shape[2:], by, strict=True)
        )  # (B, H), (B, W)
        image = torch.arange(len(x), device=x.device)[:, None, None]
        return x.movedim(1, 3)[image, rows[:, :, None], columns[:, None]].movedim(3, 1)

    return shifted


def rotate(degrees: float) -> Augmentation:
    """Turns around the centre by an angle between -`degrees` and `degrees`, bilinear."""
    positive(degrees=degrees)

    def rotated(x: Tensor, generator: torch.Generator) -> Tensor:
        angle = math.radians(degrees) * (2 * torch.rand(len(x), generator=generator) - 1)
        height, width = x.shape[2:]
        row = torch.stack([angle.cos(), angle.sin() * height / width, torch.zeros_like(angle)], 1)
        other = torch.stack([-angle.sin() * width / height, angle.cos(), torch.zeros_like(angle)], 1)
        return sampled(x, torch.stack([row, other], 1))

    return rotated


def crop(share: float) -> Augmentation:
    """A part of the image, `share` of its height and width or more, enlarged to the size of the whole, bilinear."""
    positive(share=share)
    if share > 1:
        raise ValueError(f"augment: share is 1 at most; found {share!r}")

    def cropped(x: Tensor, generator: torch.Generator) -> Tensor:
        size = share + (1 - share) * torch.rand(len(x), generator=generator)
        place = (1 - size) * (2 * torch.rand(2, len(x), generator=generator) - 1)  # of the centre, from -1 to 1
        nothing = torch.zeros_like(size)
        rows = [torch.stack([size, nothing, place[0]], 1), torch.stack([nothing, size, place[1]], 1)]
        return sampled(x, torch.stack(rows, 1))

    return cropped


def flip() -> Augmentation:
    """Half of the images are mirrored, left to right."""

    def flipped(x: Tensor, generator: torch.Generator) -> Tensor:
        half = torch.rand((len(x), 1, 1, 1), generator=generator).to(x.device) < 0.5
        return torch.where(half, x.flip(3), x)

    return flipped


def sampled(x: Tensor, theta: Tensor) -> Tensor:
    """x (B, C, H, W) read at the places that the affine maps `theta` (B, 2, 3) send the pixels to."""
    grid = F.affine_grid(theta.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def salt_and_pepper(share: float) -> Augmentation:
    """A `share` of the pixels set to the lowest or highest value of the batch, as evaluate.noise.salt_and_pepper."""
    positive(share=share)
    if share > 1:
        raise ValueError(f"augment: share is 1 at most; found {share!r}")
    return lambda x, generator: noise.salt_and_pepper(x, share, generator)


def gaussian(sd: float) -> Augmentation:
    """Normal noise of standard deviation `sd`, in the unit of the inputs, as evaluate.noise.gaussian."""
    positive(sd=sd)
    return lambda x, generator: noise.gaussian(x, sd, generator)


def noisy(share: float, sd: float) -> Augmentation:
    """A third of the images as they are, a third with salt and pepper, a third with normal noise, of many levels.

    The levels are uniform up to `share` of the pixels and the standard deviation `sd`, in the unit of the inputs.
    """
    positive(share=share, sd=sd)

    def changed(x: Tensor, generator: torch.Generator) -> Tensor:
        kind = torch.randint(3, (len(x), 1, 1, 1), generator=generator).to(x.device)
        level = torch.rand((len(x), 1, 1, 1), generator=generator).to(x.device)
        peppered = noise.salt_and_pepper(x, share * level, generator)
        disturbed = noise.gaussian(x, sd * level, generator)
        return torch.where(kind == 0, x, torch.where(kind == 1, peppered, disturbed))

    return changed


def in_turn(steps: Sequence[Augmentation]) -> Augmentation:
    """One after the other."""

    def changed(x: Tensor, generator: torch.Generator) -> Tensor:
        for step in steps:
            x = step(x, generator)
        return x

    return changed


def positive(**values: float) -> None:
    """ValueError where a setting is not a finite number above 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"augment: {name} is a finite number above 0; found {value!r}")
