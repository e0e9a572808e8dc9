"""CURVES: what is kept of an answer, against how many pixels, features or edges are kept."""

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .canvas import Place, groups, panels, with_legend

SETTING = {  # level of a metric -> what it counts, scale of its axis
    "entropy": ("file size (0: blurred, 1: the image)", "linear"),
    "pixels": ("share of the pixels", "linear"),
    "features": ("features kept", "log"),
    "retrained": ("features of a network trained anew", "log"),
    "edges": ("edges kept", "log"),
}
METRIC = {
    "sic": "SIC: softmax, relative",
    "aic": "AIC: right answers",
    "sic_by_pixels": "softmax, relative, pixels given back",
    "insertion": "softmax, pixels inserted",
    "deletion": "softmax, pixels deleted",
    "roc_auc": "test ROC-AUC",
    "r2_within_drug": "test R2 within drugs",
    "prediction_kept": "R2 against the whole graph's prediction",
}


def curves(place: Place) -> Figure | None:
    """A panel a metric, a curve a method, with the level in the metric's name as x."""
    pattern = rf"^(?P<name>\w+)/(?P<unit>{'|'.join(SETTING)})=(?P<level>[\d.]+)$"
    table = place.table.join(place.table["metric"].str.extract(pattern)).dropna(subset="unit")
    parts = [(key, part) for key, part in table.groupby(["name", "unit"], sort=False) if part["level"].nunique() > 1]
    if not parts:
        return None
    figure, axes = panels(len(parts), place, "bands: 95 % intervals", height=2.8)
    for axis, ((name, unit), part) in zip(axes, parts, strict=True):
        for method, line in groups(part.astype({"level": float}).sort_values("level", kind="stable"), "method"):
            color = place.styles[method]["color"]
            axis.plot(line["level"], line["mean"], label=method, marker=".", **place.styles[method])
            axis.fill_between(line["level"], line["low"], line["high"], color=color, alpha=0.08, linewidth=0)
        label, scale = SETTING[str(unit)]
        axis.set(xlabel=label, ylabel=METRIC.get(str(name), str(name).replace("_", " ")), xscale=scale)
        axis.set_ylim((-0.02, 1.02) if scale == "linear" else None)  # softmax and shares
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    return with_legend(figure, axes[0], "attribution")
