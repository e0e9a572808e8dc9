"""INFORMATION: softmax and accuracy information curves, SIC and AIC (Kapishnikov et al. 2019, arXiv 1906.02825).

Of an image only a few random pixels are kept and the rest is interpolated between them; then the pixels are given back
in the order of a saliency map. The curves show how the answer comes back with the information, which is the size of the
image as a lossless WebP file. As the authors' code does it (pic.py of PAIR's saliency library), tied sizes apart.

Letters: N images, C channels, H height, W width, T thresholds, X points of a curve.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy.interpolate import griddata
from torch import Tensor, nn

from ..train.adversarial import Pixels
from . import scores_of

X = np.linspace(0, 1, 1001)
SHOWN = [0, 10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 750, 1000]  # points of a curve that are kept as rows


def random_mask(height: int, width: int, fraction: float, generator: torch.Generator) -> np.ndarray:
    """(H, W) bool: a `fraction` of the pixels, and the corners, between which all others can be interpolated."""
    chosen = torch.randperm(height * width, generator=generator)[: int(fraction * height * width)].numpy()
    mask = np.isin(np.arange(height * width), chosen).reshape(height, width)
    mask[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    return mask


def interpolated(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The image (H, W, C) uint8 with all but its `known` pixels (H, W) interpolated linearly between these."""
    if known.all():
        return image
    filled = image.copy()
    values = griddata(np.argwhere(known), image[known].astype(np.float64), np.argwhere(~known), method="linear")
    filled[~known] = np.round(values)
    return filled


def entropy(image: np.ndarray) -> int:
    """Bytes of the image (H, W, C) uint8 as a lossless WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(buffer, "webp", lossless=True, quality=100)
    return buffer.tell()


def curve(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(X,) from (0, 0) through the points (T,), whose y never fall again, to (1, 1)."""
    y = np.maximum.accumulate(np.clip(y, 0, 1))
    order = np.argsort(x, kind="stable")
    return np.interp(X, np.r_[0, x[order], 1], np.r_[0, y[order], 1])


@dataclass(frozen=True)
class Answers:
    """What the model says of a series of images about their class."""

    softmax: np.ndarray
    right: np.ndarray  # 1 where that class has the largest score, else 0

    @classmethod
    def of(cls, model: nn.Module, x: Tensor, y: Tensor) -> "Answers":
        """x (A, C, H, W), y (A,)."""
        scores = scores_of(model, x).double()
        softmax = scores.softmax(1).gather(1, y[:, None])[:, 0]
        return cls(softmax.cpu().numpy(), (scores.argmax(1) == y).double().cpu().numpy())


class InformationCurves:
    """SIC and AIC of saliency maps of the images x (N, C, H, W) with classes y (N,), the same masks for every map."""

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        pixels: Pixels,
        thresholds: Sequence[float],
        fraction: float,
        confidence: float,
        generator: torch.Generator,
    ) -> None:
        self.model, self.x, self.y, self.pixels, self.thresholds = model, x, y, pixels, thresholds
        unit = ((x - pixels.low) / pixels.width).permute(0, 2, 3, 1).cpu().numpy()
        self.images = np.clip(np.round(255 * unit), 0, 255).astype(np.uint8)  # (N, H, W, C)
        self.masks = [random_mask(x.shape[2], x.shape[3], fraction, generator) for _ in range(len(x))]
        blurred = [interpolated(*one) for one in zip(self.images, self.masks, strict=True)]
        self.low, self.high = self._answers(blurred, y), self._answers(list(self.images), y)
        self.least, self.most = (np.array([entropy(image) for image in part]) for part in (blurred, self.images))
        self.sure = (self.high.softmax >= confidence) & (self.low.softmax < self.high.softmax)  # (N,)
        self.kept = self.sure & (self.least < self.most)
        self.kept_right = (self.low.right < self.high.right) & (self.least < self.most)

    def __call__(self, saliency: np.ndarray) -> Iterator[tuple[str, float]]:
        """(metric, value) for maps (N, H, W): areas under median curves, points of the curves, images left out.

        A curve of no image has no row.
        """
        softmax, right, information = self._measure(saliency)
        share = np.broadcast_to(np.array(self.thresholds), softmax.shape)
        curves = {
            "sic": ("entropy", information, softmax, self.kept),
            "aic": ("entropy", information, right, self.kept_right),
            "sic_by_pixels": ("pixels", share, softmax, self.sure),
        }
        for name, (unit, x, y, kept) in curves.items():
            yield f"{name}_skipped", float((~kept).sum())
            if kept.any():
                median = np.median([curve(*points) for points in zip(x[kept], y[kept], strict=True)], axis=0)
                yield name, float(np.trapezoid(median, X))
                yield from ((f"{name}/{unit}={X[i]:.2f}", float(median[i])) for i in SHOWN)

    def _measure(self, saliency: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Softmax, right or not, and information, each (N, T): 0 as at the blurred image, 1 as at the image itself."""
        series: list[np.ndarray] = []
        for image, mask, map_ in zip(self.images, self.masks, saliency, strict=True):
            least = np.quantile(map_, 1 - np.array(self.thresholds))
            series += [interpolated(image, mask | (map_ >= bound)) for bound in least]
        shape = (len(saliency), len(self.thresholds))
        answers = self._answers(series, self.y.repeat_interleave(shape[1]))
        size = np.array([entropy(image) for image in series]).reshape(shape)
        with np.errstate(divide="ignore", invalid="ignore"):  # of images that are left out
            return (
                relative(answers.softmax.reshape(shape), self.low.softmax, self.high.softmax),
                relative(answers.right.reshape(shape), self.low.right, self.high.right),
                np.clip(relative(size, self.least, self.most), 0, 1),
            )

    def _answers(self, images: list[np.ndarray], y: Tensor) -> Answers:
        unit = torch.from_numpy(np.stack(images)).to(self.x).permute(0, 3, 1, 2) / 255
        return Answers.of(self.model, self.pixels.low + unit * self.pixels.width, y)


def relative(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """value (N, T) on a scale from low (N,) to high (N,)."""
    return (value - low[:, None]) / (high - low)[:, None]
