"""RESPONSE: pictures of the comparators of drug response: their scores, and the way along strengths and epochs."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..record import HISTORY
from .canvas import COLOURS, LINES, STYLE, half_width, save

FREE = "drug/none"
MAIN = (FREE, "drug/graph", "drug/rewired", "drug/degree", "drug/l2_eg")  # curves of one picture
TITLES = {"r2": "R2", "r2_within_drug": "R2 within drugs", "graph_variation": "graph variation (geometric mean)"}
CUT = 0.02  # of R2 below the best: what is worse is not shown along the strengths


def draw(folder: Path, models: pd.DataFrame, selected: pd.DataFrame) -> None:
    """figures/KIND_NUMBER.png and .pdf for each place, in the order of the tables.

    models and selected: a row a model, as of table.grid.wide. Where the test was not read, only the strengths.
    """
    for number, (place, grid) in enumerate(models.groupby("place", sort=False), 1):
        part = selected[selected["place"] == place]
        title = f"{place}; {part['seed'].nunique()} replicates; 95 % t intervals"
        pictures = {"tuning": tuning(str(place), grid)}
        if "r2" in part:
            pictures |= {"responses": responses(title, part), "finetuning": finetuning(title, folder, part)}
        for kind, figure in pictures.items():
            if figure:
                with mpl.rc_context(STYLE):
                    save(figure, folder / "figures" / f"{kind}_{number}")


def responses(title: str, part: pd.DataFrame) -> Figure:
    """R2 of every comparator, overall and within drugs, and the graph variation; best R2 on top.

    Within drugs it is what the comparator gains on the extra epochs without a penalty, paired by replicate, where
    these are among them: replicates differ more than comparators.
    """
    order = list(part.groupby("comparator")["r2"].mean().sort_values().index)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.0 + 0.17 * len(order)), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
        for axis, metric in zip(axes, TITLES, strict=True):
            values = part.pivot(index="seed", columns="comparator", values=metric).reindex(columns=order)
            label = f"test {TITLES[metric]}"
            if metric == "r2_within_drug" and FREE in values:
                values, label = values.sub(values[FREE], axis=0), f"{label}, less that of {FREE}"
                axis.axvline(0, color="0.7", linewidth=0.8)
            points(axis, values, logarithm=metric == "graph_variation")
            axis.set_xlabel(label)
        figure.suptitle(title)
    return figure


def points(axis: Axes, values: pd.DataFrame, logarithm: bool) -> None:
    """Mean and interval of each comparator: a row a replicate, a column a comparator."""
    found = limits(values, logarithm)
    colors = [COLOURS[2] if name == "drug/graph" else "0.2" for name in found.index]
    axis.hlines(range(len(found)), found["low"], found["high"], colors, linewidth=0.8)
    axis.scatter(found["mean"], range(len(found)), 12, colors)
    axis.set_yticks(range(len(found)), list(found.index))
    axis.set_xscale("log" if logarithm else "linear")


def limits(values: pd.DataFrame, logarithm: bool) -> pd.DataFrame:
    """mean, low, high of each column, alike where there is one row; geometric if asked, of what is above zero."""
    given = pd.DataFrame(np.log(values.where(values > 0))) if logarithm else values
    mean, half = given.mean(), half_width(given).fillna(0)
    found = pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
    return pd.DataFrame(np.exp(found)) if logarithm else found


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
        best = axes[0].dataLim.ymax
        axes[0].set_ylim(max(best - CUT, axes[0].get_ylim()[0]), best + 0.05 * CUT)
        axes[1].set_yscale("log")
        figure.legend(*axes[0].get_legend_handles_labels(), fontsize=6, loc="outside right center")
        figure.suptitle(f"{place}; mean over replicates; R2 down to {CUT} below the best")
    return figure


def finetuning(title: str, folder: Path, part: pd.DataFrame) -> Figure | None:
    """Validation R2 and graph variation along the epochs; the extra ones, with or without the prior, are shaded.

    R2 is less that of the replicate's best plain epoch, from which the extra ones start: replicates differ more.
    """
    found = histories(folder, part[part["comparator"].isin(MAIN)])
    if "graph_variation" not in found:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        axes = figure.subplots(1, 2)
        plain = found.loc[found["phase"] == "plain", "epoch"].max()
        for axis, metric in zip(axes, ("validation_r2", "graph_variation"), strict=True):
            for color, name in zip(COLOURS, MAIN, strict=False):
                values = found[found["comparator"] == name].pivot(index="seed", columns="epoch", values=metric)
                if metric == "validation_r2":
                    values = values.sub(values.loc[:, :plain].max(axis=1), axis=0)
                if len(values):
                    curve = limits(values, logarithm=metric == "graph_variation")
                    axis.plot(curve.index, curve["mean"], color=color, label=name)
                    axis.fill_between(curve.index, curve["low"], curve["high"], color=color, alpha=0.12, linewidth=0)
            axis.axvspan(plain + 0.5, found["epoch"].max() + 0.5, color="0.93", zorder=0)
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].set_ylabel("validation R2, less the best plain")
        axes[1].set(yscale="log", ylabel="graph variation, 100 validation rows")
        figure.legend(*axes[0].get_legend_handles_labels(), fontsize=6, loc="outside right center")
        figure.suptitle(title)
    return figure


def histories(folder: Path, part: pd.DataFrame) -> pd.DataFrame:
    """comparator, seed and the history of those runs whose folders are there."""
    tables = []
    for comparator, seed, setting in part[["comparator", "seed", "setting"]].to_numpy():
        path = folder / str(setting) / HISTORY
        if setting and path.exists():
            tables.append(pd.read_csv(path).assign(comparator=comparator, seed=seed))
    return pd.concat(tables) if tables else pd.DataFrame()
