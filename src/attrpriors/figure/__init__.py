"""FIGURE: pictures of a results folder, from the rows, histories and arrays of its runs alone.

One style; colours that the colour-blind tell apart (Okabe and Ito); bands and whiskers are 95 % t intervals over runs.
A folder without what a figure needs has no such figure. The same runs give the same bytes.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..record import HISTORY
from ..table.runs import PLACE, Runs
from ..table.strength import strengths as chosen_strengths
from .axioms import axioms
from .canvas import STYLE, Place, band, groups, half_width, panels, save, with_legend
from .convergence import convergence
from .curves import curves
from .genes import genes, network
from .grid import comparators as comparators  # captions of the report: these are drawn by table.grid
from .grid import relied as relied
from .grid import stability as stability
from .grid import strengths as strengths
from .manipulation import attacked, manipulation
from .maps import maps
from .masking import masking
from .path import path
from .response import finetuning as finetuning
from .response import responses as responses
from .response import tuning as tuning
from .robustness import noise, noisy
from .saliency import saliency

PAIRS = (("r2", "graph_variation"), ("roc_auc", "gini"), ("accuracy", "total_variation"))  # score, attribution
SHOWN = 10  # methods of one picture with a panel each, features


def draw(runs: Runs, table: pd.DataFrame) -> None:
    """Write figures/KIND_DATA_MODEL.png and .pdf for every kind and every place that has what it needs."""
    folder = runs.folder / "figures"
    folder.mkdir(exist_ok=True)
    for stale in (file for kind in KINDS for file in folder.glob(f"{kind.__name__}_*.*")):
        stale.unlink(missing_ok=True)
    for (data, source, model), rows in runs.rows.groupby(PLACE, sort=False):
        part = table.merge(rows[[*PLACE, "method"]].drop_duplicates())
        place = Place(runs.folder, f"{data} ({source}), model {model}", rows, part)
        of_chosen = without_unchosen(place)
        for kind in KINDS:
            with mpl.rc_context(STYLE):
                if figure := kind(place if kind is path else of_chosen):
                    save(figure, folder / f"{kind.__name__}_{data}_{model}")


def without_unchosen(place: Place) -> Place:
    """The place, of priors that were tried at several strengths with the chosen ones alone."""
    found = chosen_strengths(place.table)
    if found.empty:
        return place
    kept = [
        table.merge(found[["prior", "weight", "chosen"]], how="left").query("chosen != False").drop(columns="chosen")
        for table in (place.rows, place.table)
    ]
    return Place(place.folder, place.name, *kept)


def lorenz(place: Place) -> Figure | None:
    """Lorenz curves of feature importance, mean over runs: below the diagonal, few features hold most of it."""
    importance = place.arrays("importance")
    if not importance:
        return None
    figure, (axis,) = panels(1, place, "bands: 95 % intervals", height=3.2)
    axis.plot([0, 100], [0, 100], color="0.6", linewidth=0.8)
    axis.annotate("all features alike", (30, 32), rotation=45, color="0.4", ha="center", rotation_mode="anchor")
    for method, arrays in importance.items():
        shares = [np.insert(np.cumsum(np.sort(array)), 0, 0) / (array.sum() or 1) for array in arrays]
        x = np.linspace(0, 100, len(shares[0]))
        band(axis, x, pd.DataFrame(100 * np.stack(shares)), method, place)
    axis.set(xlabel="features, least important first (%)", ylabel="share of importance, mean |attribution| (%)")
    axis.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    return with_legend(figure, axis)


def features(place: Place) -> Figure | None:
    """The most important features of each method by name: share of all importance, mean over runs."""
    importance, names = place.arrays("importance"), place.arrays("features")
    methods = [method for method in importance if method in names]
    if not methods:
        return None
    more = f"{SHOWN} of {len(methods)} methods; " if len(methods) > SHOWN else ""
    figure, axes = panels(min(len(methods), SHOWN), place, f"{more}whiskers: 95 % intervals")
    for method, axis in zip(methods, axes, strict=False):
        runs = zip(importance[method], names[method], strict=True)
        share = pd.DataFrame([pd.Series(100 * array / (array.sum() or 1), name) for array, name in runs])
        share = share[share.mean().nlargest(SHOWN).index[::-1]]
        axis.barh(
            list(share.columns.astype(str)),
            share.mean(),
            xerr=half_width(share),
            color="0.75",
            error_kw={"linewidth": 0.8},
        )
        axis.set(xlabel="share of all importance (%)", title=method, xlim=(0, None))
    return figure


def scores(place: Place) -> Figure | None:
    """How well each method predicts, and what its attributions measure: mean, interval and a point a run."""
    metrics = next((pair for pair in PAIRS if set(pair) <= set(place.table["metric"])), None)
    if metrics is None:
        return None
    figure, axes = panels(2, place, "whiskers: 95 % intervals; points: runs", 0.8 + 0.3 * len(place.runs))
    for axis, metric in zip(axes, metrics, strict=True):
        part = place.table[place.table["metric"] == metric]
        for i, (method, runs) in enumerate(groups(place.rows[place.rows["metric"] == metric], "method")):
            color = place.styles[method]["color"]
            axis.plot(runs["value"], np.full(len(runs), i + 0.25), ".", color=color, alpha=0.5, markeredgewidth=0)
            half = half_width(runs[["value"]])
            axis.errorbar(runs["value"].mean(), i, xerr=half, fmt="o", color=color, capsize=3)
        arrow = {"higher": ", higher is better", "lower": ", lower is better"}.get(part["better"].iloc[0], "")
        axis.set_yticks(range(len(part)), list(part["method"]))
        axis.set(ylim=(len(part) - 0.5, -0.5), xlabel=f"{metric.replace('_', ' ')}{arrow}")
    axes[1].set_yticklabels([])
    return figure


def history(place: Place) -> Figure | None:
    """Validation score and penalty along the epochs, mean over runs; each penalty has its unit and its panel."""
    curves = _histories(place)
    columns = [column for column in curves.columns.astype(str) if column.startswith("validation_")]
    if not columns or curves["epoch"].nunique() < 2:
        return None
    penalised = curves[curves["phase"] == "prior"] if "phase" in curves else curves
    penalised = penalised[penalised.groupby("method")["penalty"].transform(lambda v: v.abs().max()) > 0]
    parts = [(column, curves, column.replace("_", " ")) for column in columns]
    parts += [("penalty", part, f"penalty of {prior}") for prior, part in groups(penalised, "prior")]
    figure, axes = panels(len(parts), place, "bands: 95 % intervals")
    for axis, (column, part, label) in zip(axes, parts, strict=True):
        for method, runs in groups(part, "method"):
            values = runs.pivot(index="run", columns="epoch", values=column)
            band(axis, values.columns.to_numpy(), values, method, place)
        axis.set(xlabel="epoch", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return with_legend(figure, axes[0]) if curves["method"].nunique() > 1 else figure


def _histories(place: Place) -> pd.DataFrame:
    """method, prior, run, epoch, penalty, validation scores of every run that has a history; of one network once."""
    tables, told = [], []
    priors = place.rows.drop_duplicates("method").set_index("method")["prior"]
    for method, runs in place.runs.items():
        if runs in told:  # another measurement of the same networks
            continue
        told.append(runs)
        for run, (folder, member) in enumerate(runs):
            if (folder / HISTORY).exists():
                table = pd.read_csv(folder / HISTORY)
                table = table if member < 0 else table[table["member"] == member]
                tables.append(table.assign(run=run, method=method, prior=priors[method]))
    return pd.concat(tables) if tables else pd.DataFrame()


KINDS = (  # in the order of a page
    *(noise, path, scores, lorenz, features, genes, network, maps, noisy, masking, convergence, axioms, curves),
    *(saliency, manipulation, attacked, history),
)
