"""Compiled: the training step by torch.compile, where that is possible and exact.

torch.compile refuses a graph through autograd.grad(create_graph=True); it takes func.grad of func.grad.
"""

import shutil
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, func, nn
from torch.optim import Optimizer

from ..attribution.path import column
from ..data import Dataset
from ..train import task_loss
from .case import Case
from .formulation import ADAM, Step, steps

Gradients = Callable[[dict[str, Tensor], Tensor, Tensor, Tensor, Tensor], dict[str, Tensor]]
EXACT = 1e-4  # largest difference from ours, as a share of the prior's own largest gradient


def gradients(case: Case, data: Dataset, model: nn.Module) -> Gradients:
    """(parameters, x, y, references (B, K, *F), alpha (B, K)) -> d (task + weight * penalty) / d parameter."""

    def total(parameters: dict[str, Tensor], x: Tensor, y: Tensor, reference: Tensor, alpha: Tensor) -> Tensor:
        def score(points: Tensor) -> Tensor:
            scores = func.functional_call(model, parameters, (points,))
            if data.outputs > 1:
                scores = scores.gather(1, y.repeat_interleave(alpha.shape[1])[:, None])
            return scores.sum()

        delta = x[:, None] - reference
        points = (reference + column(alpha, delta) * delta).flatten(0, 1)
        phi = (delta * func.grad(score)(points).reshape(delta.shape)).mean(1)
        loss = task_loss(func.functional_call(model, parameters, (x,)), y, data.output)
        return loss + case.weight * case.penalty(phi, data)

    return func.grad(total)


class CompiledStep:
    """One training step by `gradients`, called as a task; the draws are those of ExpectedGradients."""

    def __init__(
        self,
        case: Case,
        data: Dataset,
        optimizer: Callable[..., Optimizer],
        transform: Callable[[Gradients], Gradients],
    ) -> None:
        self.model = case.model(data).to(data.train.x.device)
        self.gradients = transform(gradients(case, data, self.model))
        self.optimizer = optimizer(self.model.parameters())
        self.background, self.shape = data.train.x, (case.batch, case.k)
        self.x, self.y = data.train.x[: case.batch], data.train.y[: case.batch]
        self.generator = torch.Generator().manual_seed(1)

    def __call__(self) -> None:
        index = torch.randint(len(self.background), self.shape, generator=self.generator).to(self.x.device)
        alpha = torch.rand(self.shape, generator=self.generator).to(self.x)
        named = dict(self.model.named_parameters())
        values = {name: parameter.detach() for name, parameter in named.items()}
        for name, gradient in self.gradients(values, self.x, self.y, self.background[index], alpha).items():
            named[name].grad = gradient
        self.optimizer.step()


def difference(step: CompiledStep | Step, case: Case, data: Dataset) -> float:
    """How far the parameters' gradients of `step` are from ours, as a share of the prior's own largest gradient.

    One step is made of each, so `step` has an optimizer of learning rate 0.
    """
    still = partial(torch.optim.SGD, lr=0.0)
    known = steps(case, data, None, still)
    step()
    for task in (known["plain"], known["ours"]):
        task()
    found, plain, ours = (
        [torch.zeros(()) if p.grad is None else p.grad for p in task.model.parameters()]
        for task in (step, known["plain"], known["ours"])
    )
    largest = max(float((one - other).abs().max()) for one, other in zip(ours, plain, strict=True))
    return max(float((one - other).abs().max()) for one, other in zip(found, ours, strict=True)) / largest


def attempt(case: Case, data: Dataset) -> tuple[CompiledStep | None, str]:
    """The compiled step and what is to be said of it; no step where it cannot be made or is not exact."""
    if not shutil.which("g++") and not shutil.which("clang++"):
        return None, "left out, no C++ compiler (g++ or clang++) was found"
    start = time.perf_counter()
    try:
        step = CompiledStep(case, data, partial(torch.optim.SGD, lr=0.0), torch.compile)
        error = difference(step, case, data)
    except Exception as refusal:  # whatever the compiler raises, the bench goes on without it
        return None, f"left out, torch.compile ends in {type(refusal).__name__}: {str(refusal).splitlines()[0]}"
    if not error <= EXACT:
        return None, f"left out, its gradient is {error:.1e} from ours (relative), more than {EXACT:g}"
    step.optimizer = ADAM(step.model.parameters())
    return step, f"compiled in {time.perf_counter() - start:.0f} s, its gradient is {error:.1e} from ours (relative)"
