"""CONVERGENCE: dependence on the redundant feature along the epochs, and along the gradients they cost."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .canvas import COLOURS, Place, panels, with_legend

EDGE = 400  # gradients a row, up to which the cost is shown


def convergence(place: Place) -> Figure | None:
    """A curve a method, mean over runs; the same against the gradients for each training row."""
    curves, costs = place.arrays("dependence"), place.arrays("gradients")
    if not curves:
        return None
    figure, axes = panels(2, place, "mean over runs, cut at 1.2 and -1.2", height=3.4)
    for number, (method, runs) in enumerate(curves.items()):
        mean = np.mean(runs, 0)
        line: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "linestyle": "-" if number < 7 else "--"}
        epochs = np.arange(1, len(mean) + 1)
        axes[0].plot(epochs, mean, label=method.partition("attribution=")[2] or method, **line)
        axes[1].plot(costs[method][0], mean, **line)
    for axis in axes:
        axis.axhline(0, color="0.6", linewidth=0.6)
        axis.set(ylabel="dependence on the redundant feature", ylim=(-1.2, 1.2))
    axes[0].set_xlabel("epoch")
    axes[1].set(xlabel="gradients for each training row", xlim=(0, EDGE))
    return with_legend(figure, axes[0], "attribution")
