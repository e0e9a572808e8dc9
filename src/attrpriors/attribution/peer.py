"""Peers: methods that captum has, under the contract of the others, for evaluation only.

captum hooks into modules: it is handed a copy of the model. DeepLift and guided backprop know a ReLU by its module
(nn.ReLU, one for each place where it is used); a functional one counts as any other operation.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .baseline import Baseline
from .control import evaluation_only
from .gradient import at_least_one, gradient, target

Explain = Callable[[Any, Tensor, Tensor | None], Tensor]  # captum's method on the model, rows x, their classes -> phi


class Peer:
    """`method` of captum.attr, called as `explain` says, on at most `rows` rows at once."""

    def __init__(self, method: str, explain: Explain, rows: int, generator: torch.Generator | None = None) -> None:
        try:
            from captum import attr
        except ImportError as error:
            raise ImportError(f"{method} is captum's: pip install 'attrpriors[captum]'") from error
        self.method, self.explain, self.rows = getattr(attr, method), explain, rows
        self.generator = generator or torch.Generator().manual_seed(0)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        evaluation_only(self.method.__name__)
        x, y = x.detach(), target(model, x, y, self.rows)
        network = copy.deepcopy(model).eval().requires_grad_(False)
        scores = network(x[:1])
        several = scores.ndim == 2 and scores.shape[1] > 1
        phi = []
        with drawing_from(self.generator), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="captum")  # that it sets hooks, and what asks for gradients
            for part in torch.arange(len(x)).split(self.rows):
                classes = None if y is None else y[part]
                gradient(network, x[part], classes)  # says what is wrong with scores, with y, or with a constant model
                chosen = classes.long() if classes is not None and several else None
                phi.append(self.explain(self.method(network), x[part], chosen).detach())
        return torch.cat(phi).to(x.dtype)


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """captum draws from the global generators: they start where `generator` says, and are given back as they were."""
    seed, state = int(torch.randint(2**31, (), generator=generator)), np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)


def deep_lift(baseline: float | str | Tensor = 0.0, background: Tensor | None = None, chunk: int = 512) -> Peer:
    """DeepLift, rescale rule (Shrikumar et al. 2017, arXiv 1704.02685), from one baseline."""
    at_least_one(chunk=chunk)
    start = Baseline(baseline, background)
    return Peer("DeepLift", lambda method, x, y: method.attribute(x, start(x), target=y), max(1, chunk // 2))


def gradient_shap(background: Tensor, k: int = 200, generator: torch.Generator | None = None, chunk: int = 512) -> Peer:
    """Expected gradients as captum draws them: k references a row, with replacement, no noise (Lundberg, Lee 2017)."""
    at_least_one(k=k, chunk=chunk)

    def explain(method: Any, x: Tensor, y: Tensor | None) -> Tensor:
        return method.attribute(x, background.to(x), n_samples=k, stdevs=0.0, target=y)

    return Peer("GradientShap", explain, max(1, chunk // k), generator)


def guided_backprop(chunk: int = 512) -> Peer:
    """The input gradient with negative gradients stopped at every ReLU (Springenberg et al. 2014, arXiv 1412.6806)."""
    at_least_one(chunk=chunk)
    return Peer("GuidedBackprop", lambda method, x, y: method.attribute(x, target=y), chunk)


def occlusion(
    window: int = 4,
    stride: int = 2,
    baseline: float | str | Tensor = 0.0,
    background: Tensor | None = None,
    chunk: int = 512,
) -> Peer:
    """What the score loses where the baseline hides a window (Zeiler, Fergus 2013, arXiv 1311.2901).

    A pixel gets the mean of its windows, squares of `window` pixels; other features are hidden one at a time.
    """
    at_least_one(window=window, stride=stride, chunk=chunk)
    start = Baseline(baseline, background)

    def explain(method: Any, x: Tensor, y: Tensor | None) -> Tensor:
        image = x.ndim == 4
        if image and window > min(x.shape[2:]):
            raise ValueError(f"a window of {window} pixels does not fit images of {x.shape[2]} x {x.shape[3]}")
        sizes = (x.shape[1], window, window) if image else (1,) * (x.ndim - 1)
        steps = (x.shape[1], stride, stride) if image else 1
        at_once = max(1, chunk // len(x))
        return method.attribute(x, sizes, steps, start(x), target=y, perturbations_per_eval=at_once)

    return Peer("Occlusion", explain, chunk)


def kernel_shap(
    samples: int = 500,
    patch: int = 4,
    baseline: float | str | Tensor = 0.0,
    background: Tensor | None = None,
    generator: torch.Generator | None = None,
    chunk: int = 512,
) -> Peer:
    """Shapley values by weighted regression on `samples` coalitions (Lundberg, Lee 2017, arXiv 1705.07874).

    Of images, squares of `patch` pixels are the players, and share what they get among their pixels.
    """
    at_least_one(samples=samples, patch=patch, chunk=chunk)
    start = Baseline(baseline, background)

    def explain(method: Any, x: Tensor, y: Tensor | None) -> Tensor:
        player = players(x, patch)
        size = player.flatten().bincount()
        if len(size) < 2:
            raise ValueError(f"kernel_shap needs two features or patches to choose from; a row is {tuple(x.shape[1:])}")
        settings = {"n_samples": samples, "feature_mask": player[None], "perturbations_per_eval": chunk}
        return method.attribute(x, start(x), target=y, **settings) / size[player]

    return Peer("KernelShap", explain, 1, generator)


def players(x: Tensor, patch: int) -> Tensor:
    """The number of the player of each feature of a row, shaped (*F)."""
    shape = x.shape[1:]
    if len(shape) != 3:
        return torch.arange(shape.numel(), device=x.device).reshape(shape)
    row, column = (torch.arange(size, device=x.device) // patch for size in shape[1:])
    return (row[:, None] * (column.max() + 1) + column).expand(shape)
