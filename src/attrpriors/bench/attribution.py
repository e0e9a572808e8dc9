"""attribution.csv and memory.csv: expected gradients at evaluation, k references a row, without a graph.

ours: ExpectedGradients. captum: GradientShap, stdevs 0. shap: GradientExplainer, on a copy of the model, which it
changes. authors: AttributionPriorExplainer, as many rows at once as the background has references for.
"""

import copy
import importlib.util
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch
from torch import Tensor, nn

from ..attribution import ExpectedGradients
from ..attribution.expected import Estimator
from ..data import Dataset
from . import memory
from .case import Case
from .ceiling import default_matmul, routed
from .clock import Task, interleaved, quartiles
from .formulation import DEFAULT, Authors, load_authors

COLUMNS = ("case", "method", "items_per_second", "peak_mb", "low", "high")
MEMORY = ("case", "method", "k", "peak_mb")
MISSING = {"captum": "captum GradientShap", "shap": "shap GradientExplainer"}  # package -> method
Explain = Callable[[Tensor, Tensor | None], object]  # of rows x, and classes y where there are several scores


def methods(
    case: Case, data: Dataset, model: nn.Module, k: int, authors: ModuleType | None = None
) -> dict[str, Callable[[], Explain]]:
    """Method -> a function that makes it."""
    own = partial(ours, model, data, k)
    found: dict[str, Callable[[], Explain]] = {"ours": own, "ours, controlled": partial(own, "controlled")}
    if len(case.shape) == 3:
        last = copy.deepcopy(model).to(memory_format=torch.channels_last)
        found["ours, channels_last"] = partial(ours, last, data, k)
    if importlib.util.find_spec("captum"):
        found["captum GradientShap"] = partial(captum, model, data, k)
    if importlib.util.find_spec("shap"):
        found["shap GradientExplainer"] = partial(shap, model, data, k)
    if authors is not None:
        found["authors"] = partial(in_batches, case, model, data, k, authors)
    return found


def ours(model: nn.Module, data: Dataset, k: int, estimator: Estimator = "independent") -> Explain:
    explain = ExpectedGradients(data.train.x, k, torch.Generator().manual_seed(1), estimator=estimator)

    def run(x: Tensor, y: Tensor | None) -> Tensor:
        with torch.no_grad():
            return explain(model, x, y)

    return run


def captum(model: nn.Module, data: Dataset, k: int) -> Explain:
    from captum.attr import GradientShap

    explainer = GradientShap(model)
    return lambda x, y: explainer.attribute(x, data.train.x, n_samples=k, stdevs=0.0, target=y)


def shap(model: nn.Module, data: Dataset, k: int) -> Explain:
    from shap import GradientExplainer

    explainer = GradientExplainer(copy.deepcopy(model), data.train.x)
    return lambda x, y: explainer.shap_values(x, nsamples=k, ranked_outputs=None if y is None else 1)


def in_batches(case: Case, model: nn.Module, data: Dataset, k: int, authors: ModuleType) -> Explain:
    """The authors' explainer takes rows times k references, each another row of the background, at once."""
    batch = len(data.train) // k

    def run(x: Tensor, y: Tensor | None) -> None:
        for rows in torch.arange(len(x), device=x.device).split(batch):
            explain = Authors(replace(case, batch=len(rows), k=k), data, authors)
            explain(model, x[rows], None if y is None else y[rows]).detach()

    return run


def by_default(run: Explain, x: Tensor, y: Tensor | None) -> None:
    """With PyTorch's default route of matrix products."""
    with default_matmul():
        run(x, y)


def explained(data: Dataset, model: nn.Module, items: int) -> tuple[Tensor, Tensor | None]:
    """Rows x and their predicted classes, None where there is one score."""
    x = data.test.x[:items]
    with torch.no_grad():
        return x, model(x).argmax(1) if data.outputs > 1 else None


def measure(items: Mapping[Case, int], k: int, rounds: int, device: str, checkout: Path | None = None) -> pd.DataFrame:
    """A row a case and method; `items` rows are explained at once. low and high: quartiles of items_per_second."""
    for package in (package for package in MISSING if not importlib.util.find_spec(package)):
        print(f"{package} is not installed (pip install attrpriors[test]): {MISSING[package]} is left out")
    authors = load_authors(checkout) if checkout else None
    rows: list[dict[str, object]] = []
    for case, count in items.items():
        data = case.data().to(device)
        model = case.model(data).to(device).eval()
        x, y = explained(data, model, count)
        explain = {name: make() for name, make in methods(case, data, model, k, authors).items()}
        peak = {name: memory.peak(case.name, name, k, count, device, checkout) for name in explain}
        tasks: dict[str, Task] = {name: partial(run, x, y) for name, run in explain.items()}
        if routed(device):
            tasks |= {f"{name}{DEFAULT}": partial(by_default, run, x, y) for name, run in explain.items()}
        for name, seconds in interleaved(tasks, rounds, device).items():
            rate = count / seconds
            megabytes = peak[name.removesuffix(DEFAULT)]
            row = {"case": case.name, "method": name, "items_per_second": rate.median(), "peak_mb": megabytes}
            rows.append(row | quartiles(rate))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def peaks(
    cases: Iterable[Case], ks: Iterable[int], items: int, device: str, checkout: Path | None = None
) -> pd.DataFrame:
    """A row a case, method and k: whether memory grows with k."""
    authors = load_authors(checkout) if checkout else None
    rows = []
    for case, k in itertools.product(cases, ks):
        data = case.data()
        for method in methods(case, data, case.model(data), k, authors):
            megabytes = memory.peak(case.name, method, k, items, device, checkout)
            rows.append({"case": case.name, "method": method, "k": k, "peak_mb": megabytes})
    return pd.DataFrame(rows, columns=list(MEMORY))
