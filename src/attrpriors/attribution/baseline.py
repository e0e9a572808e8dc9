"""Baselines: the inputs that an attribution compares with, one for each row of x.

Letters: B batch, N rows of the background, *F features, (C, H, W) those of an image.
"""

import torch
from torch import Tensor

KINDS = ("mean", "blurred")


class Baseline:
    """x (B, *F) -> its baselines (B, *F).

    `value`: a number or a tensor that broadcasts to one row of x; "mean": the mean row of `background` (N, *F);
    "blurred": x itself under a Gaussian blur of `blur` pixels, for images.
    """

    def __init__(self, value: float | str | Tensor, background: Tensor | None = None, blur: float = 5.0) -> None:
        if isinstance(value, str) and value not in KINDS:
            raise ValueError(f"baseline is a number, a row, {' or '.join(KINDS)}; found {value!r}")
        if not blur > 0:
            raise ValueError(f"blur is a standard deviation in pixels, above 0; found {blur!r}")
        self.blur = blur
        self.row: Tensor | None = None  # broadcasts to one row; None: blurred
        if not isinstance(value, str):
            self.row = torch.as_tensor(value, dtype=torch.float64)
        elif value == "mean":
            if background is None:
                raise ValueError("the baseline 'mean' is that of a background; none was given")
            self.row = background.mean(0)

    def __call__(self, x: Tensor) -> Tensor:
        if self.row is None:
            return blurred(x, self.blur)
        try:
            return self.row.to(x).expand(1, *x.shape[1:]).expand_as(x)
        except RuntimeError as error:
            found, expected = tuple(self.row.shape), tuple(x.shape[1:])
            raise ValueError(f"the baseline is shaped {found}, a row of x {expected}") from error


def blurred(x: Tensor, sd: float) -> Tensor:
    """Images x (B, C, H, W), each pixel the mean of its plane under normal weights of `sd` pixels around it."""
    if x.ndim != 4:
        raise ValueError(f"a blurred baseline is for images (C, H, W); a row of x is shaped {tuple(x.shape[1:])}")

    def weights(size: int) -> Tensor:
        place = torch.arange(size).to(x)
        return torch.softmax(-((place[:, None] - place) / sd).square() / 2, 1)  # (size, size), rows sum to one

    return weights(x.shape[2]) @ x @ weights(x.shape[3]).T
