"""MANIPULATION: do explanations withstand an attack that keeps the prediction?

Letters: N images, C channels, H height, W width, P pixels (H * W), K strongest pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import torch
from scipy import ndimage, stats
from torch import Tensor, nn

from .. import prior
from ..attribution import Attribution
from ..attribution.gradient import at_least_one, gradient
from ..data import Dataset
from ..train.adversarial import Pixels, adversarial
from . import Row, performance, scores_of, validation_score

Objective = Callable[[Tensor, Tensor, int], Tensor]  # saliency now and before (N, P), K -> (N,)


def top_sum(saliency: Tensor, before: Tensor, top: int) -> Tensor:
    """Sum of the K strongest pixels of now: the objective of the authors of ATEX. Both (N, P) -> (N,)."""
    return saliency.topk(top).values.sum(1)


def top_share(saliency: Tensor, before: Tensor, top: int) -> Tensor:
    """Share of the saliency in the K strongest pixels of before (Ghorbani et al. 2019). Both (N, P) -> (N,)."""
    return saliency.gather(1, before.topk(top).indices).sum(1) / saliency.sum(1)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """The parameters without gradients, which the attack does not need; then as they were."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()


def saliency_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """|d score y / d x| summed over the channels, (N, H, W); with a graph to x where autograd is on."""
    return gradient(model, x, y).abs().sum(1)


@dataclass(frozen=True)
class Bound:
    """How far an attack may go, and where it starts from."""

    pixels: Pixels
    eps: float  # share of the pixels' range
    top: int  # K
    steps: int
    generator: torch.Generator


def lowered(objective: Objective, model: nn.Module, x: Tensor, y: Tensor, bound: Bound) -> Tensor:
    """x (N, C, H, W) moved within the bound to lower the objective, the predicted classes y (N,) kept.

    Steps of eps / 4 along the sign of the gradient; a step that would change the prediction is not made, and that
    image's next ones are half as long. ValueError where the saliency does not depend on x, as in a ReLU network.
    """
    size = torch.full((len(x), 1, 1, 1), bound.eps / 4, device=x.device) * bound.pixels.width
    with torch.no_grad():
        before = saliency_of(model, x, y).flatten(1)
    moved = x
    for _ in range(bound.steps):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad(), frozen(model):
            value = objective(saliency_of(model, moved, y).flatten(1), before, bound.top).sum()
            slope = torch.autograd.grad(value, moved)[0] if value.requires_grad else torch.zeros_like(x)
        if not slope.any():
            raise ValueError("the saliency has no slope to attack it by: give the model a smooth activation, as tanh")
        moved = moved.detach()
        proposed = bound.pixels.within(moved - size * slope.sign(), x, bound.eps)
        kept = same_class(model, proposed, y)
        moved, size = torch.where(kept, proposed, moved), torch.where(kept, size, size / 2)
    return moved


def noise(model: nn.Module, x: Tensor, y: Tensor, bound: Bound) -> Tensor:
    """No attack, but as large as one: every pixel moved by eps at random, unless the class would change."""
    signs = bound.pixels.uniform(x.shape, 1.0, bound.generator).sign()
    moved = bound.pixels.within(x + bound.eps * bound.pixels.width * signs, x, bound.eps)
    return torch.where(same_class(model, moved, y), moved, x)


def same_class(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Is y the predicted class of x? (N, 1, 1, 1)."""
    return (scores_of(model, x).argmax(1) == y)[:, None, None, None]


ATTACK: dict[str, Callable[[nn.Module, Tensor, Tensor, Bound], Tensor]] = {
    "noise": noise,
    "top_sum": partial(lowered, top_sum),
    "top_share": partial(lowered, top_share),
}


def top_kept(before: Tensor, after: Tensor, top: int) -> float:
    """Share of the K strongest pixels that are among the K strongest of both, mean over images. Both (N, H, W)."""
    one, other = (maps.flatten(1).topk(top).indices for maps in (before, after))  # (N, K)
    return float((one[:, :, None] == other[:, None]).any(2).float().mean())


def rank_correlation(before: Tensor, after: Tensor) -> float:
    """Spearman's correlation of the pixels, mean over images. Both (N, H, W)."""
    one, other = (stats.zscore(stats.rankdata(maps.flatten(1).cpu(), axis=1), axis=1) for maps in (before, after))
    return float((one * other).mean())


def ssim(before: Tensor, after: Tensor) -> float:
    """Structural similarity (Wang et al. 2004), mean over pixels and images. Both (N, H, W), scaled to a maximum of 1.

    Gaussian window of standard deviation 1.5, 11 x 11; K1 0.01, K2 0.03.
    """
    a, b = ((maps / maps.amax((1, 2), keepdim=True)).double().cpu().numpy() for maps in (before, after))

    def local(maps: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(maps, 1.5, truncate=3.5, axes=(1, 2))

    covariance = local(a * b) - local(a) * local(b)
    variances = local(a * a) - local(a) ** 2 + local(b * b) - local(b) ** 2
    means = local(a) * local(b)
    alike = (2 * means + 0.01**2) * (2 * covariance + 0.03**2)
    return float((alike / ((local(a) ** 2 + local(b) ** 2 + 0.01**2) * (variances + 0.03**2))).mean())


@dataclass
class Manipulation:
    """Predictions, clean and attacked (FGSM), and explanations before and after an attack that keeps the prediction.

    The saliency |d score / d x| of the predicted class is attacked; `ruler_top_kept` tells how the explanation by the
    table's ruler fares at the same images. Bounds are shares of the pixels' range.
    """

    attacks: Sequence[str]  # of ATTACK
    eps: Sequence[float]  # bounds of these attacks
    fgsm: Sequence[float]  # bounds of the attack on the prediction
    attacked: int  # test images whose explanations are attacked
    top: int  # K
    steps: int
    generator: torch.Generator
    chunk: int = 250  # images attacked at once

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("attacked", "top", "steps", "chunk")}
        at_least_one(**{f"evaluate.{name}": value for name, value in sizes.items()})
        if unknown := set(self.attacks) - set(ATTACK):
            raise ValueError(f"evaluate.attacks is of {', '.join(ATTACK)}; found {', '.join(sorted(unknown))}")
        if not all(0 < eps <= 1 for eps in (*self.eps, *self.fgsm)):
            raise ValueError(f"bounds are shares above 0 and at most 1; found eps={self.eps} and fgsm={self.fgsm}")

    def __call__(
        self, model: nn.Module, data: Dataset, explain: Attribution
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        """Rows, and of an image a class: image and phi (M, C, H, W), saliency before and attacked (M, 1, H, W)."""
        pixels = Pixels.of(data, "manipulation")
        if data.output != "classes" or self.top > data.train.x[0, 0].numel():
            raise ValueError(
                f"manipulation needs classes and images of {self.top} pixels or more; "
                f"{data.name} has the output {data.output!r} and images of {tuple(data.shape[1:])}"
            )
        explanations, arrays = self._explanations(model, data, explain, pixels)
        score, value = validation_score(model, data)
        rows: list[Row] = [(f"validation_{score}", value)]
        rows += performance(scores_of(model, data.test.x), data.test, data.output)
        return [*rows, *explanations, *self._fgsm(model, data, pixels)], arrays

    def _fgsm(self, model: nn.Module, data: Dataset, pixels: Pixels) -> Iterator[Row]:
        parts = list(zip(data.test.x.split(self.chunk), data.test.y.split(self.chunk), strict=True))
        for eps in self.fgsm:
            x = torch.cat([adversarial(model, x, y, data.output, pixels, eps) for x, y in parts])
            attacked = dict(performance(scores_of(model, x), data.test, data.output))
            yield f"accuracy/fgsm={eps:g}", attacked["accuracy"]

    def _explanations(
        self, model: nn.Module, data: Dataset, explain: Attribution, pixels: Pixels
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        rows = torch.randperm(len(data.test), generator=self.generator)[: self.attacked].to(data.test.x.device)
        x = data.test.x[rows]
        y = scores_of(model, x).argmax(1)
        saliency, phi = maps(model, explain, x, y)
        measured: list[Row] = [("gini", -float(prior.gini(phi, data)))]
        measured += [("total_variation", float(prior.total_variation(phi, data)))]
        first = [int((y == c).nonzero()[0]) for c in range(data.outputs) if (y == c).any()][:10]
        arrays = {"image": x[first], "phi": phi[first], "saliency": saliency[first, None]}
        for attack, eps in product(self.attacks, self.eps):
            bound = Bound(pixels, eps, self.top, self.steps, self.generator)
            parts = zip(x.split(self.chunk), y.split(self.chunk), strict=True)
            moved = torch.cat([ATTACK[attack](model, part, label, bound) for part, label in parts])
            after, phi_after = maps(model, explain, moved, y)
            kept = top_kept(phi.abs().sum(1), phi_after.abs().sum(1), self.top)
            values = {"top_kept": top_kept(saliency, after, self.top), "ruler_top_kept": kept}
            values |= {"rank_correlation": rank_correlation(saliency, after), "ssim": ssim(saliency, after)}
            measured += [(f"{name}/{attack}={eps:g}", value) for name, value in values.items()]
            arrays["attacked"] = after[first, None]
        return measured, {name: array.cpu().numpy() for name, array in arrays.items()}


def maps(model: nn.Module, explain: Attribution, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Saliency (N, H, W) and the ruler's phi (N, C, H, W), as numbers."""
    with torch.no_grad():
        return saliency_of(model, x, y), explain(model, x, y)
