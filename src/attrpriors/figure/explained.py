"""EXPLAINED: what a saved model's attributions of some rows look like: bars of a table's features, maps of images."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .canvas import show_image, show_map

SHOWN = 10  # features, images
ROWS = 5  # of a table, with a panel each


def bars(table: pd.DataFrame, title: str, unit: str) -> Figure:
    """Mean |attribution| of the most important features over all rows, then the first rows one by one.

    `table` as of Told.tabulated; whiskers are the standard errors of the attributions.
    """
    names = list(table["row"].drop_duplicates())
    parts = [(f"row {name}", table[table["row"] == name]) for name in names[:ROWS]]
    count = len(parts) + (len(names) > 1)
    columns = min(count, 3)
    lines = -(-count // columns)
    figure = Figure(figsize=(3.6 * columns, 2.7 * lines + 0.4), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    if len(names) > 1:
        axis = axes.pop(0)
        mean = table["attribution"].abs().groupby(table["feature"], sort=False).mean().nlargest(SHOWN)[::-1]
        axis.barh(list(mean.index), mean, color="0.75")
        axis.set(xlabel=f"mean |attribution| ({unit})", title=f"{len(names)} rows")
    for (name, part), axis in zip(parts, axes, strict=False):
        _row(axis, part, name, unit)
    figure.suptitle(title, wrap=True)
    return figure


def _row(axis: Axes, part: pd.DataFrame, name: str, unit: str) -> None:
    """The features of one row that matter most to it, with their values."""
    said = part["prediction"].iloc[0]
    title = f"{name}: {said:.5g}" if isinstance(said, float) else f"{name}: {said}"
    part = part.loc[part["attribution"].abs().nlargest(SHOWN).index[::-1]]
    labels = [f"{feature} = {value:.3g}" for feature, value in zip(part["feature"], part["value"], strict=True)]
    error = None if part["standard_error"].isna().any() else part["standard_error"]
    colours = np.where(part["attribution"] > 0, "#D55E00", "#0072B2")
    axis.barh(labels, part["attribution"], xerr=error, color=colours, error_kw={"linewidth": 0.8})
    axis.axvline(0, color="0.4", linewidth=0.8)
    axis.set(xlabel=f"attribution ({unit})", title=title)


def maps(images: np.ndarray, phi: np.ndarray, labels: list[str], title: str) -> Figure:
    """Each image (C, H, W) beside its attributions, summed over channels, on a symmetric scale of its own."""
    count = min(len(images), SHOWN)
    columns = min(count, 2)
    lines = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns, 1.7 * lines + 0.6), layout="constrained")
    axes = figure.subplots(lines, 2 * columns, squeeze=False).reshape(-1, 2)
    for pair, image, map_, label in zip(axes, images, phi, labels, strict=False):
        show_image(pair[0], image)
        pair[0].set_title(label)
        shown = show_map(pair[1], map_)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(shown, ax=list(axes.flat), aspect=30, ticks=[shown.norm.vmin, 0, shown.norm.vmax])
    bar.set_ticklabels(["lowers the score", "0", "raises the score"])
    more = f"; {count} of {len(images)} images" if len(images) > count else ""
    figure.suptitle(f"{title}{more}; each map on its own symmetric scale", wrap=True)
    return figure
