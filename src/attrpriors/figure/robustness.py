"""ROBUSTNESS: accuracy under noise, and what the noise looks like."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluate import NOISE
from .canvas import MARKERS, Place, groups, panels, show_image, with_legend

LEVEL = {
    "salt_and_pepper": "fraction of pixels set to black or white",
    "gaussian": "standard deviation (unit of the inputs)",
    "fgsm": "bound (share of the pixels' range)",
}
BANDS = 3  # methods whose intervals are told apart as bands; of more as whiskers side by side
SHOWN = 10  # methods
BELOW: dict[str, Any] = {"va": "top", "fontsize": 7}  # a line of text under an image
RIGHT, WRONG = {"color": "0.3"}, {"color": "#D55E00", "weight": "bold"}


def noise(place: Place) -> Figure | None:
    """Accuracy against the level of noise: a panel a kind, a curve a method; level 0 is the plain accuracy."""
    table = place.table.join(place.table["metric"].str.extract(r"^accuracy/(?P<kind>.+)=(?P<level>.+)$"))
    kinds = list(table["kind"].dropna().unique())
    if not kinds:
        return None
    several = table["method"].nunique() > BANDS
    note = "whiskers: 95 % intervals, side by side" if several else "bands: 95 % intervals"
    height, width = (3.4, 4.2) if several else (2.5, 3.0)
    figure, axes = panels(len(kinds), place, note, height, width)
    for kind, axis in zip(kinds, axes, strict=True):
        clean = table[table["metric"] == "accuracy"].assign(level=0)
        curves = pd.concat([clean, table[table["kind"] == kind]]).astype({"level": float})
        (whiskers if several else bands)(axis, curves.sort_values("level", kind="stable"), place)
        axis.set(xlabel=LEVEL.get(kind, kind), ylabel="test accuracy", ylim=(0, 1.02))
        axis.set_title(f"{kind.replace('_', ' ')}{' noise' if kind in NOISE else ''}")
    return with_legend(figure, axes[0])


def bands(axis: Axes, curves: pd.DataFrame, place: Place) -> None:
    """A curve a method, its intervals as a band."""
    for method, curve in groups(curves, "method"):
        axis.plot(curve["level"], curve["mean"], label=method, marker="o", **place.styles[method])
        color = place.styles[method]["color"]
        axis.fill_between(curve["level"], curve["low"], curve["high"], color=color, alpha=0.2, linewidth=0)


def whiskers(axis: Axes, curves: pd.DataFrame, place: Place) -> None:
    """A curve and a marker a method, its intervals as whiskers, moved apart by a part of a level."""
    methods = [method for method in place.styles if method in set(curves["method"])]
    step = min(np.diff(np.unique(curves["level"])), default=0)
    apart = np.linspace(-0.3, 0.3, len(methods)) * step
    for i, method in enumerate(methods):
        curve = curves[curves["method"] == method]
        half = np.stack([curve["mean"] - curve["low"], curve["high"] - curve["mean"]])
        style = {"marker": MARKERS[i % len(MARKERS)], "label": method, **place.styles[method]}
        x = curve["level"] + apart[i]
        axis.errorbar(x, curve["mean"], half, markersize=3.2, linewidth=1, elinewidth=0.7, **style)


def noisy(place: Place) -> Figure | None:
    """One image at every level of every noise, and what each method takes it for; wrong answers stand out.

    Pixels beyond the range of the image without noise are drawn at its ends.
    """
    pictures, levels, answers = (place.arrays(name) for name in ("noisy", "level", "predicted"))
    methods = list(pictures)[:SHOWN]
    names = [str(level) for level in levels[methods[0]][0]] if methods else []
    kinds = list(dict.fromkeys(name.partition("=")[0] for name in names[1:]))  # the first is the image itself
    if not kinds:
        return None
    picture = pictures[methods[0]][0]
    strips = [[0, *(i for i, name in enumerate(names) if name.startswith(f"{kind}="))] for kind in kinds]
    columns = max(map(len, strips))
    figure = Figure(figsize=(0.75 * columns + 2, (1 + 0.14 * len(methods)) * len(kinds) + 0.7), layout="constrained")
    truth = str(next(iter(place.arrays("noisy_class").values()))[0])
    for line, kind, strip in zip(figure.subplots(len(kinds), columns, squeeze=False), kinds, strips, strict=True):
        for axis in line:
            axis.set_axis_off()
        line[0].text(-0.15, 0.5, kind.replace("_", " "), transform=line[0].transAxes, ha="right", va="center")
        for row, method in enumerate(methods):
            line[0].text(-0.15, -0.08 - 0.17 * row, method, transform=line[0].transAxes, ha="right", **BELOW)
        for axis, i in zip(line, strip, strict=False):
            show_image(axis, picture[i], like=picture[0])
            axis.set_title(names[i].partition("=")[2] or "0")
            for row, method in enumerate(methods):
                said = str(answers[method][0][i])
                style = RIGHT if said == truth else WRONG
                axis.text(0.5, -0.08 - 0.17 * row, said, transform=axis.transAxes, ha="center", **BELOW, **style)
    note = f"one image of class {truth} and its predicted classes; runs with the lowest seed"
    figure.suptitle(f"{place.name}; {note}", wrap=True)
    return figure
