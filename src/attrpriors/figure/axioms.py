"""AXIOMS: the verdict on every method and axiom, on the trained network and on closed forms."""

from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..evaluate.axioms import AXIOMS
from ..table.verdict import verdict, violations
from .canvas import Place

COLOUR = {"holds": "#A6D5F2", "noise": "#DDDDDD", "violated": "#F2B48C"}


def axioms(place: Place) -> Figure | None:
    """A panel for the network and one for the closed forms: a row a method, a column an axiom, the mean violation."""
    rows = place.rows
    if "on" not in rows or not set(AXIOMS) <= set(rows["metric"]):
        return None
    measured = rows[rows["metric"].str.removesuffix("_tolerance").isin(list(AXIOMS))]
    values, methods = violations(measured), list(measured["explain"].unique())
    figure = Figure(figsize=(10, 0.28 * len(methods) + 1.6), layout="constrained")
    for axis, on in zip(figure.subplots(1, 2, sharey=True), ("network", "closed forms"), strict=True):
        grid = []
        for i, method in enumerate(methods):
            part = values.xs((on, method), level=("on", "explain"))
            grid.append([list(COLOUR).index(verdict(part[a], part[f"{a}_tolerance"])[0]) for a in AXIOMS])
            for j, axiom in enumerate(AXIOMS):
                axis.text(j, i, f"{part[axiom].mean():.2g}", ha="center", va="center")
        axis.imshow(grid, cmap=ListedColormap(list(COLOUR.values())), vmin=-0.5, vmax=2.5, aspect="auto")
        axis.set_xticks(range(len(AXIOMS)), [axiom.replace("_", "\n") for axiom in AXIOMS])
        axis.set_yticks(range(len(methods)), methods)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(on)
    figure.suptitle(f"{place.name}; {place.count}; mean violation, as a share of the attributions")
    handles = [Patch(color=colour, label=name) for name, colour in COLOUR.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
