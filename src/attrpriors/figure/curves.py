"""CURVES: what is kept of an answer, against how many pixels, features or edges are kept."""

from matplotlib.figure import Figure

from .canvas import Place, groups, panels, with_legend

SETTING = {  # level of a metric -> what it counts, scale of its axis
    "entropy": ("information, share of that of the image", "linear"),
    "pixels": ("pixels, share of all", "linear"),
    "features": ("features kept", "log"),
    "retrained": ("features of a network trained anew", "log"),
    "edges": ("edges kept", "log"),
}
METRIC = {"insertion": "softmax, pixels inserted", "deletion": "softmax, pixels deleted"}


def curves(place: Place) -> Figure | None:
    """A panel a metric, a curve a method, with the level in the metric's name as x."""
    pattern = rf"^(?P<name>\w+)/(?P<unit>{'|'.join(SETTING)})=(?P<level>[\d.]+)$"
    table = place.table.join(place.table["metric"].str.extract(pattern)).dropna(subset="unit")
    if table.empty:
        return None
    parts = list(table.groupby(["name", "unit"], sort=False))
    figure, axes = panels(len(parts), place, "bands: 95 % intervals", height=2.8)
    for axis, ((name, unit), part) in zip(axes, parts, strict=True):
        for method, line in groups(part.astype({"level": float}).sort_values("level", kind="stable"), "method"):
            color = place.styles[method]["color"]
            axis.plot(line["level"], line["mean"], label=method, **place.styles[method])
            axis.fill_between(line["level"], line["low"], line["high"], color=color, alpha=0.15, linewidth=0)
        label, scale = SETTING[str(unit)]
        axis.set(xlabel=label, ylabel=METRIC.get(str(name), str(name).replace("_", " ")), xscale=scale)
    return with_legend(figure, axes[0])
