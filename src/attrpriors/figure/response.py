"""RESPONSE: pictures of the comparators of drug response: their scores, and the way along strengths and epochs."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..record import HISTORY
from .canvas import COLOURS, LINES, STYLE, half_width, save

MAIN = ("drug/none", "drug/graph", "drug/rewired", "drug/degree", "drug/l2_eg")  # curves of one picture
TITLES = {"r2": "R2", "graph_variation": "graph variation", "r2_within_drug": "R2 within drugs"}


def draw(folder: Path, models: pd.DataFrame, selected: pd.DataFrame) -> None:
    """figures/KIND_NUMBER.png and .pdf for each place, in the order of the tables.

    models and selected: a row a model, as of table.grid.wide.
    """
    for number, (place, grid) in enumerate(models.groupby("place", sort=False), 1):
        part = selected[selected["place"] == place]
        title = f"{place}; {part['seed'].nunique()} replicates; 95 % t intervals"
        pictures = {
            "responses": responses(title, part),
            "tuning": tuning(str(place), grid),
            "finetuning": finetuning(title, folder, part),
        }
        for kind, figure in pictures.items():
            if figure:
                with mpl.rc_context(STYLE):
                    save(figure, folder / "figures" / f"{kind}_{number}")


def responses(title: str, part: pd.DataFrame) -> Figure:
    """The paper's bars: R2 of every comparator, overall and within drugs, and the graph variation; best R2 on top."""
    prefix = "" if "r2" in part else "validation_"
    order = list(part.groupby("comparator")[f"{prefix}r2"].mean().sort_values().index)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.0 + 0.17 * len(order)), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
        for axis, metric in zip(axes, ("r2", "r2_within_drug", "graph_variation"), strict=True):
            bars(axis, part, f"{prefix}{metric}", order)
            axis.set(xlabel=f"{'validation' if prefix else 'test'} {TITLES[metric]}")
        axes[2].set_xlabel(TITLES["graph_variation"])
        figure.suptitle(title)
    return figure


def bars(axis: Axes, part: pd.DataFrame, metric: str, order: list[str]) -> None:
    """Mean and interval of each comparator; a score's axis starts where its bars can be told apart."""
    values = part.pivot(index="seed", columns="comparator", values=metric).reindex(columns=order)
    colours = [COLOURS[2] if name == "drug/graph" else COLOURS[0] if name == "drug/none" else "0.75" for name in order]
    half = half_width(values).fillna(0) if len(values) > 1 else None
    axis.barh(order, values.mean(), xerr=half, color=colours, error_kw={"linewidth": 0.8, "ecolor": "0.4"})
    if metric.endswith("graph_variation"):
        axis.set_xscale("log")
    elif values.mean().min() > 0.5:
        axis.set_xlim(values.mean().min() - 0.01, None)


def tuning(place: str, grid: pd.DataFrame) -> Figure | None:
    """Validation R2 and graph variation of every comparator along its strengths, mean over replicates."""
    names = [str(name) for name, part in grid.groupby("comparator", sort=False) if part["strength"].nunique() > 1]
    if not names:
        return None
    variation = "graph_variation" if "graph_variation" in grid else "validation_graph_variation"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        axes = figure.subplots(1, 2)
        for i, name in enumerate(names):
            line = {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i // len(COLOURS) % len(LINES)]}
            means = grid[grid["comparator"] == name].groupby("strength")[["validation_r2", variation]].mean()
            for axis, metric in zip(axes, means, strict=True):
                axis.plot(means.index, means[metric], marker=".", label=name, **line)
        for axis, label in zip(axes, ("validation R2", "graph variation"), strict=True):
            axis.set(xscale="log", xlabel="strength", ylabel=label)
        axes[1].set_yscale("log")
        figure.legend(*axes[0].get_legend_handles_labels(), fontsize=6, loc="outside right center")
        figure.suptitle(f"{place}; mean over replicates")
    return figure


def finetuning(title: str, folder: Path, part: pd.DataFrame) -> Figure | None:
    """Validation R2 and graph variation along the epochs; the extra ones, with or without the prior, are shaded."""
    found = histories(folder, part[part["comparator"].isin(MAIN)])
    if "graph_variation" not in found:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        axes = figure.subplots(1, 2)
        for axis, metric in zip(axes, ("validation_r2", "graph_variation"), strict=True):
            for color, name in zip(COLOURS, MAIN, strict=False):
                values = found[found["comparator"] == name].pivot(index="seed", columns="epoch", values=metric)
                if len(values):
                    mean, half = values.mean(), half_width(values).fillna(0)
                    axis.plot(mean.index, mean, color=color, label=name)
                    axis.fill_between(mean.index, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)
            plain = found.loc[found["phase"] == "plain", "epoch"].max()
            axis.axvspan(plain + 0.5, found["epoch"].max() + 0.5, color="0.93", zorder=0)
            axis.set(xlabel="epoch", ylabel=metric.replace("_", " "))
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[1].set_yscale("log")
        figure.legend(*axes[0].get_legend_handles_labels(), fontsize=6, loc="outside right center")
        figure.suptitle(f"{title}; graph variation of 100 validation rows; the extra epochs start from the best ones")
    return figure


def histories(folder: Path, part: pd.DataFrame) -> pd.DataFrame:
    """comparator, seed and the history of those runs whose folders are there."""
    tables = []
    for comparator, seed, setting in part[["comparator", "seed", "setting"]].to_numpy():
        path = folder / str(setting) / HISTORY
        if setting and path.exists():
            tables.append(pd.read_csv(path).assign(comparator=comparator, seed=seed))
    return pd.concat(tables) if tables else pd.DataFrame()
