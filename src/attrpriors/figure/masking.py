"""MASKING: how far every attribution is ahead of expected gradients, metric by metric of the benchmark."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .canvas import COLOURS, Place, half_width, with_legend

AGAINST = "expected_gradients"


def masking(place: Place) -> Figure | None:
    """Paired differences from expected gradients in percent of theirs: a row a metric, a point a method."""
    rows = place.rows[place.rows["metric"].str.match(r"(keep|remove)/mask=")]
    methods = list(rows["method"].unique())
    if AGAINST not in methods or len(methods) == 1:
        return None
    values = rows.pivot(index="seed", columns=["metric", "method"], values="value").astype(float)
    metrics = list(rows["metric"].unique())
    figure = Figure(figsize=(7.5, 0.36 * len(metrics) + 1.4), layout="constrained")
    axis = figure.subplots()
    others = [method for method in methods if method != AGAINST]
    for number, method in enumerate(others):
        ours = pd.DataFrame({metric: values[metric, AGAINST] for metric in metrics})
        gap = 100 * (pd.DataFrame({metric: values[metric, method] for metric in metrics}) - ours) / ours.mean().abs()
        height = np.arange(len(metrics)) + 0.7 * (number / max(len(others) - 1, 1) - 0.5)
        color = COLOURS[number % len(COLOURS)]
        axis.errorbar(gap.mean(), height, xerr=half_width(gap), fmt="o", markersize=3, color=color, label=method)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.set_xscale("symlog", linthresh=5)
    axis.set_xticks([-100, -10, -5, -2.5, 0, 2.5, 5, 10], ["-100", "-10", "-5", "-2.5", "0", "2.5", "5", "10"])
    axis.set_yticks(range(len(metrics)), [metric.replace("/mask=", " ").replace("_", " ") for metric in metrics])
    axis.set(ylim=(len(metrics) - 0.4, -0.6), xlabel=f"difference from {AGAINST} (% of it; linear within 5)")
    axis.grid(axis="y", color="0.93")
    axis.set_axisbelow(True)
    figure.suptitle(f"{place.name}; {place.count}; whiskers: 95 % intervals of paired differences")
    return with_legend(figure, axis, "attribution")
