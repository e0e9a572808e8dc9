"""FIGURE: pictures of a results folder, from the rows, histories and arrays of its runs alone.

One style; colours that the colour-blind tell apart (Okabe and Ito); bands and whiskers are 95 % t intervals over runs.
A folder without what a figure needs has no such figure. The same runs give the same bytes.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..evaluate import NOISE
from ..record import HISTORY
from ..table.runs import PLACE, Runs
from .axioms import axioms
from .canvas import STYLE, Place, band, groups, half_width, panels, save, show_image, show_map, with_legend
from .convergence import convergence
from .curves import curves
from .genes import genes, network
from .grid import comparators as comparators  # captions of the report: these are drawn by table.grid
from .grid import relied as relied
from .grid import stability as stability
from .grid import strengths as strengths
from .manipulation import attacked, manipulation
from .masking import masking
from .saliency import saliency

LEVEL = {
    "salt_and_pepper": "fraction of pixels set to black or white",
    "gaussian": "standard deviation (unit of the inputs)",
    "fgsm": "bound (share of the pixels' range)",
}
PAIRS = (("r2", "graph_variation"), ("roc_auc", "gini"), ("accuracy", "total_variation"))  # score, attribution
SHOWN = 10  # methods of one picture with a row or panel each, images, features


def draw(runs: Runs, table: pd.DataFrame) -> None:
    """Write figures/KIND_DATA_MODEL.png and .pdf for every kind and every place that has what it needs."""
    folder = runs.folder / "figures"
    folder.mkdir(exist_ok=True)
    for stale in (path for kind in KINDS for path in folder.glob(f"{kind.__name__}_*.*")):
        stale.unlink(missing_ok=True)
    for (data, source, model), rows in runs.rows.groupby(PLACE, sort=False):
        part = table.merge(rows[[*PLACE, "method"]].drop_duplicates())
        place = Place(runs.folder, f"{data} ({source}), model {model}", rows, part)
        for kind in KINDS:
            with mpl.rc_context(STYLE):
                if figure := kind(place):
                    save(figure, folder / f"{kind.__name__}_{data}_{model}")


def noise(place: Place) -> Figure | None:
    """Accuracy against the level of noise: a panel a kind, a curve a method; level 0 is the plain accuracy."""
    table = place.table.join(place.table["metric"].str.extract(r"^accuracy/(?P<kind>.+)=(?P<level>.+)$"))
    kinds = list(table["kind"].dropna().unique())
    if not kinds:
        return None
    figure, axes = panels(len(kinds), place, "bands: 95 % intervals")
    for kind, axis in zip(kinds, axes, strict=True):
        clean = table[table["metric"] == "accuracy"].assign(level=0)
        curves = pd.concat([clean, table[table["kind"] == kind]]).astype({"level": float})
        for method, curve in groups(curves.sort_values("level", kind="stable"), "method"):
            axis.plot(curve["level"], curve["mean"], label=method, marker="o", **place.styles[method])
            color = place.styles[method]["color"]
            axis.fill_between(curve["level"], curve["low"], curve["high"], color=color, alpha=0.2, linewidth=0)
        axis.set(xlabel=LEVEL.get(kind, kind), ylabel="test accuracy", ylim=(0, 1.02))
        axis.set_title(f"{kind.replace('_', ' ')}{' noise' if kind in NOISE else ''}")
    return with_legend(figure, axes[0])


def maps(place: Place) -> Figure | None:
    """Attribution maps under their images: a row a method, of the run with its lowest seed."""
    images, phis = place.arrays("image"), place.arrays("phi")
    methods = [method for method in phis if method in images]
    if not methods:
        return None
    rows: list[tuple[str, np.ndarray]] = []
    last = np.empty(0)
    for method in methods[:SHOWN]:
        if not np.array_equal(images[method][0], last):
            last = images[method][0]
            rows.append(("image", last[:SHOWN]))
        rows.append((method, phis[method][0][:SHOWN]))
    columns = max(len(pictures) for _, pictures in rows)
    figure = Figure(figsize=(0.75 * columns + 2.2, 0.78 * len(rows) + 0.6), layout="constrained")
    for line, (name, pictures) in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        line[0].set_ylabel(name.replace(", ", "\n"), rotation=0, ha="right", va="center")
        for axis, picture in zip(line, pictures, strict=False):
            shown = show_image(axis, picture) if name == "image" else show_map(axis, picture)
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    bar = figure.colorbar(shown, ax=figure.axes, aspect=30, ticks=[shown.norm.vmin, 0, shown.norm.vmax])
    bar.set_ticklabels(["lowers the score", "0", "raises the score"])
    more = f"; {SHOWN} of {len(methods)} methods" if len(methods) > SHOWN else ""
    figure.suptitle(f"{place.name}{more}; maps of the run with the lowest seed, each on its own symmetric scale")
    return figure


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
    if not columns:
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
    *(
        noise,
        scores,
        lorenz,
        features,
        genes,
        network,
        maps,
        masking,
        convergence,
        axioms,
        curves,
        saliency,
        manipulation,
        attacked,
    ),
    history,
)
