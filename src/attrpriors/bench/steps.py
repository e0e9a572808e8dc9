"""steps.csv: a training step with its prior, beside the same step without one, in every formulation."""

import importlib.util
from collections.abc import Iterable
from types import ModuleType

import numpy as np
import pandas as pd

from .case import Case
from .clock import Task, interleaved, quartiles
from .compiled import attempt
from .formulation import DEFAULT, steps

COLUMNS = ("case", "formulation", "median_ms", "ratio_to_plain", "low", "high")


def measure(
    cases: Iterable[Case], rounds: int, device: str, authors: ModuleType | None = None, compiling: bool = True
) -> pd.DataFrame:
    """A row a case and formulation; ratio_to_plain is the median over rounds, low and high are its quartiles.

    The plain step is the one with the same route of matrix products, and the numbers where PyTorch puts them.
    """
    if not importlib.util.find_spec("captum"):
        print("captum is not installed (pip install attrpriors[test]): its rows are left out")
    return pd.concat([_case(case, rounds, device, authors, compiling) for case in cases], ignore_index=True)


def _case(case: Case, rounds: int, device: str, authors: ModuleType | None, compiling: bool) -> pd.DataFrame:
    data = case.data().to(device)
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
    rows.append({"formulation": "floor", "median_ms": np.nan, "ratio_to_plain": floor(case.k)})
    return pd.DataFrame(rows).assign(case=case.name)[list(COLUMNS)]


def floor(k: int) -> float:
    """Passes through a piecewise-linear network, a step with the prior over a plain one.

    Plain: forward, input gradient, weight gradient. Each of the k references adds forward, input gradient, and for the
    second derivative a tangent pass and a weight gradient. Below it is possible where a step is mostly fixed cost.
    """
    return (3 + 4 * k) / 3
