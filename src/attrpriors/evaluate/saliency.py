"""SALIENCY: does an attribution map of an image put first the pixels that the model's answer rests on?

Letters: N images, G grids, C channels, H height, W width, M methods.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..attribution import Attribution
from ..attribution.baseline import Baseline
from ..attribution.gradient import at_least_one
from ..build import complete
from ..data import Dataset
from ..record import Row
from ..train.adversarial import Pixels
from . import performance, scores_of
from .information import Answers, InformationCurves

TILED = 500  # training images that are the background of the grids, each as 2 x 2 of itself


@dataclass
class Saliency:
    """Information curves, insertion, deletion and a pointing game of each of `methods`, on test images of one network.

    A map is summed over the channels; of the `absolute` methods the absolute values are. Every method draws the same
    numbers and meets the same random masks.
    """

    methods: Mapping[str, Callable[..., Attribution]]
    absolute: Sequence[str]
    explained: int  # test images
    thresholds: Sequence[float]  # shares of the pixels given back, of the information curves
    fraction: float  # share of the pixels that are kept in their blurred images
    confidence: float  # softmax of its class below which an image has no information curve
    baseline: float | str  # what hides a pixel in insertion and deletion, as of attribution.Baseline
    steps: int  # of insertion and deletion
    grids: int  # images of the pointing game
    top: float  # share of the pixels that point
    generator: torch.Generator

    def __post_init__(self) -> None:
        at_least_one(**{f"evaluate.{name}": getattr(self, name) for name in ("explained", "steps", "grids")})
        shares = [*self.thresholds, self.fraction, self.confidence, self.top]
        if not all(0 < share < 1 for share in shares):
            raise ValueError(f"evaluate's thresholds, fraction, confidence and top are between 0 and 1; found {shares}")
        if unknown := set(self.absolute) - set(self.methods):
            raise ValueError(f"evaluate.absolute is of {', '.join(self.methods)}; found {', '.join(sorted(unknown))}")

    def __call__(self, model: nn.Module, data: Dataset) -> tuple[list[Row], dict[str, np.ndarray]]:
        """Rows, and of an image a class: image (N, C, H, W) and its maps (M, N, H, W) by the methods, with names."""
        pixels = Pixels.of(data, "saliency")
        if data.output != "classes":
            raise ValueError(f"saliency needs classes; {data.name} has the output {data.output!r}")
        rows = torch.randperm(len(data.test), generator=self.generator)[: self.explained].to(data.test.x.device)
        x, y = data.test.x[rows], data.test.y[rows]
        settings = (self.thresholds, self.fraction, self.confidence, self.generator)
        information = InformationCurves(model, x, y, pixels, *settings)
        hidden = Baseline(self.baseline, data.train.x)(x)
        grids = Grids.of(model, data, self.grids, self.generator)
        start = int(torch.randint(2**62, (), generator=self.generator))
        accuracy = dict(performance(scores_of(model, data.test.x), data.test, data.output))["accuracy"]
        measured: list[Row] = []
        maps = {name: self._maps(name, model, x, y, data.train.x, start) for name in self.methods}
        for name, map_ in maps.items():
            pointing = self._maps(name, model, grids.x, grids.y, grids.background, start)
            found = [("accuracy", accuracy), *information(map_.cpu().numpy())]
            found += [*insertion_and_deletion(model, x, y, hidden, map_, self.steps)]
            found += [("pointing_game", grids.hit(pointing, self.top))]
            measured += [(metric, value, {"explain": name}) for metric, value in found]
        first = [int((y == c).nonzero()[0]) for c in range(data.outputs) if (y == c).any()][:10]
        arrays = {"image": x[first].cpu().numpy(), "maps": np.stack([map_[first].cpu() for map_ in maps.values()])}
        return measured, arrays | {"methods": np.array([*maps])}

    def _maps(self, name: str, model: nn.Module, x: Tensor, y: Tensor, background: Tensor, start: int) -> Tensor:
        """(N, H, W)"""
        draws = torch.Generator().manual_seed(start)
        with torch.no_grad():
            phi = complete(self.methods[name], background=background, generator=draws)(model, x, y)
        return (phi.abs() if name in self.absolute else phi).sum(1)


def insertion_and_deletion(
    model: nn.Module, x: Tensor, y: Tensor, hidden: Tensor, maps: Tensor, steps: int
) -> Iterator[tuple[str, float]]:
    """Mean softmax of y while pixels go from hidden to x, or from x to hidden (Petsiuk et al. 2018, arXiv 1806.07421).

    x and hidden (N, C, H, W), y (N,); the order is that of the maps (N, H, W). The areas, and the curves by the share
    of pixels that went.
    """
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    place = order.argsort(1).reshape(maps.shape)[:, None]  # (N, 1, H, W), 0 for the strongest
    share = np.linspace(0, 1, steps + 1)
    for name, start, end in (("insertion", hidden, x), ("deletion", x, hidden)):
        gone = (place < round(float(part) * order.shape[1]) for part in share)
        means = [Answers.of(model, torch.where(moved, end, start), y).softmax.mean() for moved in gone]
        yield name, float(np.trapezoid(means, share))
        yield from ((f"{name}/pixels={part:.2f}", float(mean)) for part, mean in zip(share, means, strict=True))


@dataclass(frozen=True)
class Grids:
    """Images made of 2 x 2 test images, of which one alone is of the class that is asked for."""

    x: Tensor  # (G, C, 2 H, 2 W)
    y: Tensor  # (G,) the class
    quarter: Tensor  # (G,) where it is: 0 and 1 above, 2 and 3 below
    background: Tensor  # (TILED, C, 2 H, 2 W)

    @classmethod
    def of(cls, model: nn.Module, data: Dataset, count: int, generator: torch.Generator) -> "Grids":
        """`count` grids, drawn from the four times as many test images that the model is surest of."""
        x, y = data.test.x, data.test.y
        sure = scores_of(model, x).softmax(1).gather(1, y[:, None])[:, 0].argsort(descending=True)[: 4 * count].cpu()
        if len(y[sure].unique()) < 2:
            raise ValueError(f"the pointing game needs images of two classes; found {len(sure)} of one class")
        pictures, classes, quarters = [], [], torch.randint(4, (count,), generator=generator)
        for quarter in quarters.tolist():
            order = sure[torch.randperm(len(sure), generator=generator)]
            others = order[(y[order] != y[order[0]]).cpu()]
            chosen = others[torch.arange(4) % len(others)]
            chosen[quarter] = order[0]
            pictures.append(torch.cat([torch.cat([*x[chosen[:2]]], 2), torch.cat([*x[chosen[2:]]], 2)], 1))
            classes.append(y[order[0]])
        grids = torch.stack(pictures)
        try:
            scores_of(model, grids[:1])
        except RuntimeError as error:
            raise ValueError(
                f"the pointing game shows the model images of {tuple(grids.shape[2:])}, twice the size of those of "
                f"{data.name}, which it does not take: choose model=pooled_cnn or model=resnet18"
            ) from error
        return cls(grids, torch.stack(classes), quarters.to(x.device), data.train.x[:TILED].repeat(1, 1, 2, 2))

    def hit(self, maps: Tensor, top: float) -> float:
        """Share of the `top` pixels of the maps (G, 2 H, 2 W) that lie in the quarter of the class; 1/4 by chance."""
        height, width = maps.shape[1:]
        strongest = maps.flatten(1).topk(max(1, round(top * height * width))).indices
        below, right = strongest // width >= height // 2, strongest % width >= width // 2
        return float((2 * below + right == self.quarter[:, None]).float().mean())
