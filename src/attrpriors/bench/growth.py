"""growth.csv and growth.png: how the cost of a step grows with k, batch, features, edges of the graph and members."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ..figure.canvas import COLOURS, STYLE, save
from .case import GRAPH, MLP, Case
from .clock import Task, interleaved, quartiles
from .ensemble import CASE, DEFAULT_ADAM, serial, together
from .formulation import steps, stock

COLUMNS = ("axis", "value", "formulation", "median_ms", "ratio_to_plain", "low", "high")
AXES: dict[str, tuple[Sequence[int], Callable[[int], Case]]] = {  # axis -> values, the case of each
    "k": ((1, 2, 4, 8, 16, 32), lambda k: replace(MLP, k=k)),
    "batch": ((25, 50, 100, 200, 400, 800), lambda batch: replace(MLP, batch=batch)),
    "features": ((30, 118, 500, 2000, 8000), lambda features: replace(MLP, shape=(features,))),
    "edges": ((100, 400, 1600, 6400, 25600), lambda edges: replace(GRAPH, edges=edges)),
}
MEMBERS = (1, 2, 4, 8, 16, 32)
SAID = {  # axis -> title, label
    "k": ("MLP 118-512-128-32-1, Gini,\nbatch 100", "references k of a row"),
    "batch": ("the same,\nk = 1", "rows of a batch"),
    "features": ("the same,\nk = 1, batch 100", "features"),
    "edges": ("MLP 876-512-256-1, graph,\nk = 10, batch 32", "edges of the graph"),
    "members": ("MLP 118-512-128-32-1, Gini,\nk = 1, 100 rows", "models trained (ours: together)"),
}
FORMULATIONS = ("plain", "ours", "stock")


def measure(rounds: int, device: str, epochs: int = 10) -> pd.DataFrame:
    """median_ms: of a step; for members, of an epoch of a model. low and high: quartiles of ratio_to_plain."""
    tables = []
    for axis, (values, case_of) in AXES.items():
        for value in values:
            case = case_of(value)
            known = steps(case, case.data().to(device), None)
            tables.append(_rows(axis, value, {name: known[name] for name in FORMULATIONS}, rounds, device, 1))
    for count in MEMBERS:
        tasks = {
            "plain": serial(CASE, count, epochs, device, None),
            "ours": together(CASE, count, epochs, device),
            "stock": serial(CASE, count, epochs, device, around=stock, optimizer=DEFAULT_ADAM),
        }
        tables.append(_rows("members", count, tasks, rounds, device, count * epochs))
    return pd.concat(tables, ignore_index=True)


def _rows(axis: str, value: int, tasks: Mapping[str, Task], rounds: int, device: str, units: int) -> pd.DataFrame:
    times = interleaved(tasks, rounds, device, spent=1.0)
    rows = []
    for name, seconds in times.items():
        ratio = seconds / times["plain"]
        spent = {"median_ms": 1e3 * seconds.median() / units, "ratio_to_plain": ratio.median(), **quartiles(ratio)}
        rows.append({"axis": axis, "value": value, "formulation": name} | spent)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(growth: pd.DataFrame, stem: Path) -> None:
    """`stem`.png and .pdf: above milliseconds, below the ratio to the step without a prior; a column an axis."""
    names = list(growth["axis"].unique())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(names), 4.8), layout="constrained")
        above, below = figure.subplots(2, len(names), squeeze=False, sharex="col")
        for name, time, ratio in zip(names, above, below, strict=True):
            _panels(growth[growth["axis"] == name], time, ratio)
            title, label = SAID[name]
            time.set_title(title)
            time.set_ylabel("ms of a model's epoch" if name == "members" else "ms of a step")
            ratio.set(xlabel=label, ylabel="times that without a prior")
        handles, labels = above[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        save(figure, stem)


def _panels(part: pd.DataFrame, time: Axes, ratio: Axes) -> None:
    """The curves of one axis; bands are quartiles over rounds."""
    for colour, name in zip(COLOURS, FORMULATIONS, strict=False):
        curve = part[part["formulation"] == name]
        label = "no prior" if name == "plain" else name
        time.plot(curve["value"], curve["median_ms"], color=colour, marker="o", label=label)
        ratio.plot(curve["value"], curve["ratio_to_plain"], color=colour, marker="o")
        ratio.fill_between(curve["value"], curve["low"], curve["high"], color=colour, alpha=0.2, linewidth=0)
    time.set(xscale="log", yscale="log")
    time.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    time.yaxis.set_major_formatter("{x:.4g}")
    time.yaxis.set_minor_locator(NullLocator())
    ratio.set(xscale="log", ylim=(0, None))
    values = sorted(part["value"].unique())
    ratio.set_xticks(values, labels=list(map(str, values)), minor=False)
    ratio.xaxis.set_minor_locator(NullLocator())
