"""Formulations of the training step: each is `Trainer.step`, through an attribution of its own.

plain: no prior. ours: the project's. stock: ours with PyTorch's own double backward. captum: its GradientShap, patched
to keep the graph. authors: the explainer of a checkout of the authors' repository. Variants change where the numbers
lie (channels_last) or who multiplies matrices: all take the route that the project's runs take, or PyTorch's default.
"""

import copy
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import TensorDataset

from ..attribution import Attribution, ExpectedGradients, derivative
from ..data import Dataset
from ..prior import AttributionPrior, NoPrior, Prior
from ..train import Trainer
from .case import Case
from .ceiling import default_matmul, routed

Around = Callable[[], AbstractContextManager[object]]
ADAM = partial(torch.optim.Adam, lr=1e-4)
DEFAULT = ", default matmul"  # of the same with PyTorch's default route of matrix products


def stock() -> AbstractContextManager[object]:
    """PyTorch's own double backward."""
    return mock.patch.dict(derivative.REPLACEMENTS, clear=True)


@dataclass
class Step:
    """One training step on the first rows of the data, called as a task."""

    model: nn.Module
    data: Dataset
    prior: Prior
    trainer: Trainer
    rows: Tensor  # (B,)
    optimizer: Optimizer
    around: Around = nullcontext
    route: Around = nullcontext

    def __call__(self) -> None:
        with self.around(), self.route():
            self.trainer.step(self.model, self.data, self.prior, self.optimizer, self.rows)


def ours(case: Case, data: Dataset) -> Attribution:
    return ExpectedGradients(data.train.x, k=case.k, generator=torch.Generator().manual_seed(1))


class Captum:
    """captum's GradientShap as a training penalty.

    As shipped it takes the input gradient without a graph and sums under no_grad, so that a penalty on it trains
    nothing; here both are changed.
    """

    def __init__(self, case: Case, data: Dataset) -> None:
        from captum.attr import GradientShap

        self.explainer, self.background, self.k = GradientShap, data.train.x, case.k

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        explainer = self.explainer(model)
        explainer.gradient_func = graph_gradient
        target = None if y is None or y.is_floating_point() else y
        with mock.patch.object(torch, "no_grad", torch.enable_grad):
            return explainer.attribute(x, self.background, n_samples=self.k, stdevs=0.0, target=target)


def graph_gradient(model: nn.Module, inputs: tuple[Tensor, ...], target: Any, extra: Any) -> tuple[Tensor, ...]:
    """captum's compute_gradients, with create_graph."""
    from captum._utils.common import _run_forward

    return torch.autograd.grad(torch.unbind(_run_forward(model, inputs, target, extra)), inputs, create_graph=True)


def load_authors(checkout: Path) -> ModuleType:
    """attributionpriors/pytorch_ops.py of a checkout. Raises ValueError where it is not there."""
    path = checkout / "attributionpriors" / "pytorch_ops.py"
    if not path.is_file():
        raise ValueError(
            f"AUTHORS is a checkout of suinleelab/attributionpriors, with attributionpriors/pytorch_ops.py; "
            f"found no such file in {checkout}"
        )
    spec = importlib.util.spec_from_file_location("authors", path)
    assert spec is not None
    assert spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Authors:
    """AttributionPriorExplainer of the authors' pytorch_ops.py, as its README uses it."""

    def __init__(self, case: Case, data: Dataset, module: ModuleType) -> None:
        module.DEFAULT_DEVICE = data.train.x.device  # type: ignore[attr-defined]
        background = TensorDataset(data.train.x.cpu())
        self.explainer = module.AttributionPriorExplainer(background, case.batch, k=case.k)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.explainer.shap_values(model, x, sparse_labels=y)


def steps(
    case: Case, data: Dataset, authors: ModuleType | None, optimizer: Callable[..., Optimizer] = ADAM
) -> dict[str, Step]:
    """Formulation -> its step, each on a copy of one network."""
    model = case.model(data).to(data.train.x.device)
    trainer = Trainer(epochs=1, batch_size=case.batch, optimizer=optimizer, generator=torch.Generator())
    rows = torch.arange(case.batch, device=data.train.x.device)

    def step(
        attribution: Callable[[Case, Dataset], Attribution] | None,
        around: Around,
        layout: torch.memory_format = torch.contiguous_format,
        route: Around = nullcontext,
    ) -> Step:
        own = copy.deepcopy(model).to(memory_format=layout)
        prior: Prior = NoPrior()
        if attribution is not None:
            prior = AttributionPrior(case.weight, case.penalty, attribution(case, data), data)
        return Step(own, data, prior, trainer, rows, optimizer(own.parameters()), around, route)

    known: dict[str, tuple[Callable[[Case, Dataset], Attribution] | None, Around]] = {
        "plain": (None, nullcontext),
        "ours": (ours, nullcontext),
        "stock": (ours, stock),
    }
    if importlib.util.find_spec("captum"):
        known["captum"] = (Captum, nullcontext)
    if authors is not None:
        known["authors"] = (partial(Authors, module=authors), nullcontext)
    found = {name: step(*given) for name, given in known.items()}
    if len(case.shape) == 3:
        found |= {f"{name}, channels_last": step(*known[name], torch.channels_last) for name in ("plain", "ours")}
    elif routed(data.train.x.device):
        found |= {f"{name}{DEFAULT}": step(*given, route=default_matmul) for name, given in known.items()}
    return found
