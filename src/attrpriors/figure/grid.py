"""GRID: pictures of comparators on grids of strengths: what was chosen, the way there, the features used."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from scipy import stats

from ..record import ARRAYS
from . import response
from .canvas import COLOURS, LINES, STYLE, save

SHOWN = 10  # features
MAIN = ("none", "gini_eg", "mixed_eg", "l1_all", "sgl_all", "l2_all", "l1_eg", "dropout")  # curves of one picture
CHOOSES = "validation_roc_auc"
SIZED = r"^(?P<whole>.*), train (?P<people>\d+)$"  # a place that differs from others in its training rows


def draw(folder: Path, models: pd.DataFrame, selected: pd.DataFrame) -> None:
    """figures/KIND_NUMBER.png and .pdf for each place and way of choosing, in the order of the tables.

    models and selected: a row a model, as of table.grid.wide; selected with its `selection`.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    if CHOOSES not in models:
        return response.draw(folder, models, selected)
    for number, (place, grid) in enumerate(models.groupby("place", sort=False), 1):
        for way, (selection, part) in enumerate(selected[selected["place"] == place].groupby("selection"), 1):
            name, shares = f"{number}_{way}", importances(folder, part)
            where = f"{place}; {selection}"
            whole, title = (f"{where}; {n} replicates" for n in (part["seed"].nunique(), at_hand(shares)))
            with mpl.rc_context(STYLE):
                save(comparators(whole, grid, part, shares), figures / f"comparators_{name}")
                if way == 1:
                    save(strengths(str(place), grid), figures / f"strengths_{name}")
                if shares:
                    save(stability(title, shares), figures / f"stability_{name}")
                    save(relied(title, shares), figures / f"relied_{name}")
    sized = selected.join(selected["place"].str.extract(SIZED)).dropna(subset="people").astype({"people": int})
    for way, (selection, part) in enumerate(sized.groupby("selection"), 1):
        with mpl.rc_context(STYLE):
            title = f"{part['whole'].iloc[0]}; {selection}; {part['seed'].nunique()} replicates"
            save(sizes(title, part), figures / f"sizes_{way}")


def importances(folder: Path, models: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Comparator -> shares of importance (replicates, features), of the models whose arrays are in the folder."""
    found: dict[str, list[pd.Series]] = {}
    for setting, part in models.groupby("setting"):
        path = folder / str(setting) / ARRAYS
        if not setting or not path.exists():
            continue
        with np.load(path, allow_pickle=False) as arrays:
            if "importance" not in arrays:
                continue
            values, names = np.atleast_2d(arrays["importance"]), np.atleast_2d(arrays["features"])[0]
            for comparator, member in part[["comparator", "member"]].to_numpy():
                share = values[member] / (values[member].sum() or 1)
                found.setdefault(str(comparator), []).append(pd.Series(share, names))
    return {comparator: pd.DataFrame(shares) for comparator, shares in found.items()}


def at_hand(shares: dict[str, pd.DataFrame]) -> int:
    """Of how many replicates the shares of importance are known."""
    return max(map(len, shares.values()), default=0)


def style(names: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A line of its own for each name."""
    for i, name in enumerate(names):
        yield name, {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i // len(COLOURS) % len(LINES)]}


def comparators(title: str, grid: pd.DataFrame, part: pd.DataFrame, shares: dict[str, pd.DataFrame]) -> Figure:
    """The paper's four panels: ROC-AUC, Gini, validation ROC-AUC against Gini along the strengths, Lorenz curves."""
    figure = Figure(figsize=(9, 7.5), layout=ConstrainedLayoutEngine(rect=(0.02, 0, 0.98, 1)))  # room for long names
    axes = figure.subplots(2, 2)
    order = part.groupby("comparator")["roc_auc"].mean().sort_values().index
    for axis, metric in zip(axes[0], ("roc_auc", "gini"), strict=True):
        bars(axis, part, metric, list(order))
    main = [name for name in MAIN if name in set(grid["comparator"])]
    for name, line in style(main):
        means = grid[grid["comparator"] == name].groupby("strength")[["gini", CHOOSES]].mean()
        marker = "o" if len(means) == 1 else "."
        axes[1][0].plot(means["gini"], means[CHOOSES], label=name, marker=marker, **line)
        if name in shares:
            ordered = np.sort(shares[name].to_numpy(), axis=1).cumsum(1).mean(0)
            axes[1][1].plot(np.linspace(0, 100, len(ordered) + 1), 100 * np.insert(ordered, 0, 0), **line)
    axes[1][0].set(xlabel="Gini of mean |EG|, mean over replicates", ylabel="validation ROC-AUC, along the strengths")
    axes[1][1].plot([0, 100], [0, 100], color="0.7", linewidth=0.8)
    told = f", {at_hand(shares)} replicates" if at_hand(shares) < part["seed"].nunique() else ""
    axes[1][1].set(xlabel="features, least important first (%)", ylabel=f"share of importance (%){told}")
    axes[1][0].legend(fontsize=6)
    figure.suptitle(f"{title}; whiskers: one standard error")
    return figure


def bars(axis: Axes, part: pd.DataFrame, metric: str, order: list[str]) -> None:
    """Mean and standard error of each comparator."""
    values = part.groupby("comparator")[metric].agg(["mean", "sem"]).reindex(order)
    colours = ["#0072B2" if name == "gini_eg" else "0.75" for name in order]
    places = range(len(order))
    axis.barh(places, values["mean"], xerr=values["sem"].fillna(0), color=colours, error_kw={"linewidth": 0.8})
    axis.set_yticks(places, order, fontsize=6)
    low = 0.5 if metric == "roc_auc" else 0.0
    axis.set(xlabel="test ROC-AUC" if low else "Gini of mean |EG|", xlim=(low, None))


def strengths(place: str, grid: pd.DataFrame) -> Figure:
    """ROC-AUC (validation, test) and Gini of every comparator along its strengths, mean over replicates."""
    names = [str(name) for name, part in grid.groupby("comparator", sort=False) if part["strength"].nunique() > 1]
    columns = 4
    rows = max(-(-len(names) // columns), 1)
    figure = Figure(figsize=(9, 1.7 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axis, name in zip(axes, names, strict=False):
        means = grid[grid["comparator"] == name].groupby("strength")[[CHOOSES, "roc_auc", "gini"]].mean()
        labels = ("validation ROC-AUC", "test ROC-AUC", "Gini")
        for column, label, (_, line) in zip(means, labels, style(list(labels)), strict=True):
            axis.plot(means.index, means[column], label=label, **line)
        axis.set(title=name, xscale="linear" if name == "dropout" else "log", ylim=(0, 1))
        axis.minorticks_off()
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    if names:
        axes[0].legend(fontsize=6)
    figure.suptitle(f"{place}; all replicates, mean; strength of the penalty")
    return figure


def stability(title: str, shares: dict[str, pd.DataFrame]) -> Figure:
    """How often a feature is among the most important ones of two replicates: mean overlap of their first features."""
    figure = Figure(figsize=(6, 0.9 + 0.2 * len(shares)), layout="constrained")
    axis = figure.subplots()
    first = {name: overlap(table) for name, table in shares.items()}
    values = pd.Series(first).sort_values()
    axis.barh(list(values.index), values, color="0.75")
    axis.set(xlabel=f"share of the {first_features(shares)} most important features that two replicates have in common")
    axis.set_xlim(0, 1)
    figure.suptitle(title)
    return figure


def first_features(shares: dict[str, pd.DataFrame]) -> int:
    """How many features count as the first: five, or fewer of few."""
    return min(5, min(table.shape[1] for table in shares.values()))


def overlap(shares: pd.DataFrame) -> float:
    """Mean, over pairs of replicates (rows), of the share of their first features that they have in common."""
    count = first_features({"": shares})
    chosen = (shares.rank(axis=1, ascending=False, method="first") <= count).to_numpy().astype(float)  # (R, F)
    together = chosen @ chosen.T / count
    pairs = together[np.triu_indices(len(chosen), 1)]
    return float(pairs.mean()) if len(pairs) else 1.0


def relied(title: str, shares: dict[str, pd.DataFrame]) -> Figure:
    """Mean share of importance: a row a comparator, a column a feature, the most important ones of all by name."""
    means = pd.DataFrame({name: table.mean() for name, table in shares.items()}).T  # (comparators, features)
    means = means[means.mean().nlargest(SHOWN).index]
    figure = Figure(figsize=(0.55 * len(means.columns) + 3, 0.22 * len(means) + 1.8), layout="constrained")
    axis = figure.subplots()
    shown = axis.imshow(100 * means.to_numpy(), cmap="Blues", vmin=0, aspect="auto")
    axis.set_xticks(range(len(means.columns)), list(means.columns.astype(str)), rotation=40, ha="right")
    axis.set_yticks(range(len(means)), list(means.index.astype(str)))
    dark = 50 * means.to_numpy().max()
    for (row, column), share in np.ndenumerate(100 * means.to_numpy()):
        axis.text(column, row, f"{share:.0f}", ha="center", va="center", color="white" if share > dark else "black")
    figure.colorbar(shown, ax=axis, label="share of all importance (%)")
    figure.suptitle(title)
    return figure


def sizes(title: str, part: pd.DataFrame) -> Figure:
    """ROC-AUC and Gini of each comparator, and what it gains on `none`, along `people` to train on: a row a model."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    plain = part[part["comparator"] == "none"].set_index(["people", "seed"])
    found = set(part["comparator"])
    for name, line in style([*(name for name in MAIN if name in found), *sorted(found - set(MAIN))]):
        models = part[part["comparator"] == name].set_index(["people", "seed"])
        gain = (models["roc_auc"] - plain["roc_auc"]).dropna()
        for axis, values in zip(axes, (models["roc_auc"], gain, models["gini"].dropna()), strict=True):
            groups = values.groupby(level="people")
            mean, half = groups.mean(), groups.sem() * stats.t.ppf(0.975, groups.size() - 1)
            axis.errorbar(mean.index, mean, yerr=half, label=name, capsize=2, elinewidth=0.8, **line)
    people = sorted(part["people"].unique())
    for axis, label in zip(axes, ("test ROC-AUC", "test ROC-AUC, less that of none", "Gini of mean |EG|"), strict=True):
        axis.set(xscale="log", xlabel="people to train on", ylabel=label)
        axis.set_xticks(people, [str(count) for count in people])
        axis.minorticks_off()
    axes[1].axhline(0, color="0.7", linewidth=0.8)
    axes[0].legend(fontsize=6)
    figure.suptitle(f"{title}; 95 % t intervals")
    return figure
