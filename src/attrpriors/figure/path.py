"""PATH: what the strength of each prior does on the validation rows, and the one that is chosen."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ..table.strength import ACCURACY, strengths
from .canvas import COLOURS, LINES, MARKERS, Place, panels, with_legend

FREE = "none"
NOISY = r"^validation_accuracy/(?P<kind>.+)=(?P<level>[^=]+)$"
SMOOTH = "validation_total_variation"
HURTS = 0.75  # share of the accuracy that is left of prior-free networks, or less
FEW = 2  # runs whose spread says too little for an interval


def path(place: Place) -> Figure | None:
    """Along the strength of each prior, on validation rows; ringed: the chosen one; level: the prior-free networks."""
    found = strengths(place.table)
    if found.empty:
        return None
    metrics = list(shown(place.table))
    note = (
        f"points, thin lines: runs; bars, band: 95 % intervals (of {FEW + 1} runs or more); ringed: the chosen strength"
    )
    figure, axes = panels(len(metrics), place, note, 2.8)
    for metric, axis in zip(metrics, axes, strict=True):
        table, runs = (rows[rows["metric"] == metric].astype({"weight": float}) for rows in (place.table, place.rows))
        level(axis, table[table["prior"] == FREE].iloc[0], runs[runs["prior"] == FREE])
        if metric == ACCURACY:
            limit = found["limit"].iloc[0]
            axis.axhline(limit, color="0.4", linewidth=1, linestyle=":", label="lowest accuracy allowed")
        priors = list(found["prior"].unique())
        for i, prior in enumerate(priors):
            chosen = found[(found["prior"] == prior) & found["chosen"]]["weight"].astype(float)
            apart = 1.08 ** (i - (len(priors) - 1) / 2)  # side by side on the logarithmic axis
            line(axis, table[table["prior"] == prior], runs[runs["prior"] == prior], i, apart, chosen)
        axis.set(xlabel="strength of the prior", ylabel=named(metric), xscale="log")
        axis.xaxis.set_minor_formatter(NullFormatter())
    return with_legend(figure, axes[0])


def shown(table: pd.DataFrame) -> Iterator[str]:
    """The accuracy, that under the first level of each noise that hurts, and the total variation."""
    yield ACCURACY
    free = table[table["prior"] == FREE].set_index("metric")["mean"]
    noisy = free.index.to_series().str.extract(NOISY).dropna().astype({"level": float}).sort_values("level")
    for _, levels in noisy.groupby("kind", sort=False):
        hurt = [metric for metric in levels.index if free[metric] <= HURTS * free[ACCURACY]]
        yield hurt[0] if hurt else levels.index[-1]
    if SMOOTH in free:
        yield SMOOTH


def named(metric: str) -> str:
    """Words for an axis: "validation accuracy, salt and pepper 0.1", on two lines."""
    name, _, noise = metric.partition("/")
    return ",\n".join(part.replace("_", " ").replace("=", " ") for part in (name, noise) if part)


def level(axis: Axes, free: pd.Series, runs: pd.DataFrame) -> None:
    """The prior-free runs, their mean and interval."""
    axis.axhline(free["mean"], color=COLOURS[0], linewidth=1.2, label=FREE)
    for value in runs["value"]:
        axis.axhline(value, color=COLOURS[0], linewidth=0.5, alpha=0.4)
    if free["n"] > FEW:
        axis.axhspan(free["low"], free["high"], color=COLOURS[0], alpha=0.1, linewidth=0)


def line(axis: Axes, curve: pd.DataFrame, runs: pd.DataFrame, number: int, apart: float, chosen: pd.Series) -> None:
    """Runs, means and intervals of one prior, with a ring around the chosen strength."""
    curve = curve.sort_values("weight")
    colours = COLOURS[1:]
    style: dict[str, Any] = {
        "color": colours[number % len(colours)],
        "linestyle": LINES[number // len(colours) % len(LINES)],
    }
    half = np.where(curve["n"] > FEW, curve["high"] - curve["mean"], np.nan)
    marker = MARKERS[number % len(MARKERS)]
    axis.plot(runs["weight"] * apart, runs["value"], "o", ms=2.5, color=style["color"], alpha=0.5, markeredgewidth=0)
    label = curve["prior"].iloc[0]
    axis.errorbar(curve["weight"] * apart, curve["mean"], half, label=label, marker=marker, elinewidth=0.7, **style)
    ringed = curve[curve["weight"].isin(chosen)]
    axis.plot(ringed["weight"] * apart, ringed["mean"], "o", ms=10, mfc="none", color=style["color"], zorder=3)
