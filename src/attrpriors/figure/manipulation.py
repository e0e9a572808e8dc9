"""MANIPULATION: how much of an explanation an attack leaves, and what that looks like."""

import numpy as np
from matplotlib.figure import Figure

from .canvas import Place, panels, with_legend

SHOWN = 10  # methods
IMAGES = 5
LEVELS = r"^top_kept/(?P<kind>.+)=(?P<level>.+)$"


def manipulation(place: Place) -> Figure | None:
    """Strongest pixels kept against the attack's bound: a panel an attack, a curve a method; all are kept at 0."""
    table = place.table.join(place.table["metric"].str.extract(LEVELS)).dropna(subset="kind")
    kinds = list(table["kind"].unique())
    if not kinds:
        return None
    figure, axes = panels(len(kinds), place, "whiskers: 95 % intervals, side by side", height=3)
    for kind, axis in zip(kinds, axes, strict=True):
        curves = table[table["kind"] == kind].astype({"level": float}).sort_values("level", kind="stable")
        methods = [method for method in place.styles if method in set(curves["method"])]
        gap = 0.4 * curves["level"].diff().pipe(lambda steps: steps[steps > 0]).min() / len(methods)
        for method, place_of in zip(methods, np.arange(len(methods)) - (len(methods) - 1) / 2, strict=True):
            curve = curves[curves["method"] == method]
            whiskers = np.stack([curve["mean"] - curve["low"], curve["high"] - curve["mean"]])
            x = curve["level"] + (0 if np.isnan(gap) else gap * place_of)
            axis.errorbar(x, curve["mean"], whiskers, label=method, marker="o", elinewidth=0.8, **place.styles[method])
        axis.set(xlabel="bound (share of the pixels' range)", ylabel="strongest pixels kept", ylim=(0, 1.02))
        axis.set_title(kind.replace("_", " "))
    return with_legend(figure, axes[0])


def attacked(place: Place) -> Figure | None:
    """Saliency before and after the last attack of the table under their images: two rows a method, lowest seed."""
    found = {name: place.arrays(name) for name in ("image", "saliency", "attacked")}
    methods = [method for method in found["attacked"] if method in found["saliency"]][:SHOWN]
    if not methods:
        return None
    rows = [("image", found["image"][methods[0]][0][:IMAGES])]
    for method in methods:
        rows += [(method, found["saliency"][method][0][:IMAGES]), ("attacked", found["attacked"][method][0][:IMAGES])]
    columns = max(len(pictures) for _, pictures in rows)
    figure = Figure(figsize=(0.75 * columns + 2.2, 0.78 * len(rows) + 0.6), layout="constrained")
    for line, (name, pictures) in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        line[0].set_ylabel(name.replace(", ", "\n"), rotation=0, ha="right", va="center")
        for axis, picture in zip(line, pictures, strict=False):
            axis.imshow(picture.mean(0), cmap="gray" if name == "image" else "magma")
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    last = [metric for metric in place.table["metric"] if metric.startswith("top_kept/")][-1].removeprefix("top_kept/")
    kind, _, level = last.partition("=")
    figure.suptitle(f"{place.name}; saliency before and after {kind.replace('_', ' ')} with bound {level}, lowest seed")
    return figure
