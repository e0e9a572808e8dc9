"""steps.csv: a training step with its prior, beside the same step without one, in every formulation."""

import importlib.util
from collections.abc import Container, Iterable
from types import ModuleType

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .case import Case
from .clock import Task, interleaved, quartiles
from .compiled import attempt
from .formulation import DEFAULT, steps

COLUMNS = ("case", "formulation", "median_ms", "ratio_to_plain", "low", "high")


def measure(
    cases: Iterable[Case], rounds: int, device: str, authors: ModuleType | None = None, compiling: Container[str] = ()
) -> pd.DataFrame:
    """A row a case and formulation; ratio_to_plain is the median over rounds, low and high are its quartiles.

    The plain step is the one with the same route of matrix products, and the numbers where PyTorch puts them.
    """
    if not importlib.util.find_spec("captum"):
        print("captum is not installed (pip install attrpriors[test]): its rows are left out")
    return pd.concat(
        [_case(case, rounds, device, authors, case.name in compiling) for case in cases], ignore_index=True
    )


def _case(case: Case, rounds: int, device: str, authors: ModuleType | None, compiling: bool) -> pd.DataFrame:
    data = case.data().to(device)
    model, x = case.model(data).to(device), data.train.x
    tasks: dict[str, Task] = dict(steps(case, data, authors))
    if compiling:
        step, said = attempt(case, data)
        print(f"{case.name}: compiled: {said}", flush=True)
        if step is not None:
            tasks["compiled"] = step
    times = interleaved(tasks, rounds, device)
    rows = []
    for name in times:
        ratio = times[name] / times["plain" + DEFAULT * name.endswith(DEFAULT)]
        median = 1e3 * times[name].median()
        rows.append({"formulation": name, "median_ms": median, "ratio_to_plain": ratio.median(), **quartiles(ratio)})
    rows.append({"formulation": "floor", "median_ms": np.nan, "ratio_to_plain": floor(model, x, case.k)})
    return pd.DataFrame(rows).assign(case=case.name)[list(COLUMNS)]


def floor(model: nn.Module, x: Tensor, k: int) -> float:
    """Multiplications of a step with the prior over those of a plain one, for a piecewise-linear network.

    A plain step passes each layer three times: forward, input gradient (not of the first layer) and weight gradient.
    Each of k references adds four: forward, input gradient, and for the second derivative a tangent and a weight
    gradient. Below it is possible where a step is mostly fixed cost.
    """
    work = multiplications(model, x[:1])
    plain = 3 * sum(work) - work[0]
    return (plain + 4 * k * sum(work)) / plain


def multiplications(model: nn.Module, x: Tensor) -> list[int]:
    """Of a forward pass of one row x (1, *F), for each linear and convolution layer."""
    work: list[int] = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        work.append(layer.get_parameter("weight").numel() * output[0].numel() // output.shape[1])

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return work
