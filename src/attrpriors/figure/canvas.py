"""CANVAS: what all figures share: the runs of one data set and model, one style, panels, intervals."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ..record import ARRAYS, write

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "image.interpolation": "none",  # pixels stay pixels, and no more of them than there are
    "svg.hashsalt": "attrpriors",
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's sans serif
}
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None, "Creator": None},
}
COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
LINES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"


@dataclass(frozen=True)
class Place:
    """The runs of one data set and model."""

    folder: Path
    name: str  # data, source and model, for titles
    rows: pd.DataFrame  # as in Runs
    table: pd.DataFrame  # as of table.summarise

    @property
    def count(self) -> str:
        """How many runs a method has."""
        n = [len(runs) for runs in self.runs.values()]
        return f"n = {min(n)} runs a method" if min(n) == max(n) else f"n = {min(n)} to {max(n)} runs a method"

    @property
    def runs(self) -> dict[str, list[tuple[Path, int]]]:
        """Method -> the folders of its runs, by seed, and the member of the folder's ensemble (-1: no ensemble)."""
        runs = groups(self.rows.drop_duplicates(["method", "seed", "setting", "member"]), "method")
        return {
            method: [(self.folder / setting, member) for setting, member in part[["setting", "member"]].values]
            for method, part in runs
        }

    @property
    def styles(self) -> dict[str, dict[str, Any]]:
        """Method -> its line, the same in every figure."""
        return {
            method: {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i // len(COLOURS) % len(LINES)]}
            for i, method in enumerate(self.runs)
        }

    def arrays(self, name: str) -> dict[str, list[np.ndarray]]:
        """Method -> the array `name` of each of its runs; without the runs that have none."""
        found: dict[str, list[np.ndarray]] = {}
        for method, runs in self.runs.items():
            for path, member in ((folder / ARRAYS, member) for folder, member in runs if (folder / ARRAYS).exists()):
                with np.load(path, allow_pickle=False) as arrays:
                    if name in arrays:
                        found.setdefault(method, []).append(arrays[name] if member < 0 else arrays[name][member])
        return found


def save(figure: Figure, stem: Path) -> None:
    """`stem`.png, .pdf and .svg, without dates."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not again for every format
    for suffix, metadata in METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        write(stem.with_name(f"{stem.name}.{suffix}"), buffer.getvalue())


def groups(table: pd.DataFrame, key: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """(value of `key`, its rows), in order of appearance."""
    for value, part in table.groupby(key, sort=False):
        yield str(value), part


def band(axis: Axes, x: np.ndarray, values: pd.DataFrame, method: str, place: Place) -> None:
    """Mean curve and interval of values (runs, X)."""
    mean, half = values.mean().to_numpy(), half_width(values).to_numpy()
    axis.plot(x, mean, label=method, **place.styles[method])
    axis.fill_between(x, mean - half, mean + half, color=place.styles[method]["color"], alpha=0.2, linewidth=0)


def half_width(values: pd.DataFrame) -> pd.Series:
    """Half-width of the 95 % t interval of each column; NaN for one run."""
    return stats.t.ppf(0.975, len(values) - 1) * values.sem()


def panels(count: int, place: Place, note: str, height: float = 2.5, width: float = 3) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels `height` inches high and `width` wide, four a row at most."""
    columns = min(count, 4)
    lines = -(-count // columns)
    figure = Figure(figsize=(max(width * columns, 4.5) + 1, height * lines + 0.4), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    figure.suptitle(f"{place.name}; {place.count}; {note}", wrap=True)
    return figure, axes[:count]


def with_legend(figure: Figure, axis: Axes, title: str = "prior") -> Figure:
    """The legend of `axis` right of the figure, which grows with it."""
    handles, labels = axis.get_legend_handles_labels()
    figure.set_figheight(max(figure.get_figheight(), 0.8 + 0.17 * len(labels)))
    figure.set_figwidth(figure.get_figwidth() + max(0, 0.065 * max(map(len, labels), default=0) - 1))  # 1: panels
    figure.legend(handles, labels, title=title, loc="outside right center", alignment="left")
    return figure


def show_image(axis: Axes, image: np.ndarray, like: np.ndarray | None = None) -> Any:
    """An image (C, H, W) in grey or colour, from the lowest to the highest value of its own or of the image `like`."""
    low, high = (image.min(), image.max()) if like is None else (like.min(), like.max())
    scaled = ((image - low) / (high - low or 1)).clip(0, 1)
    return axis.imshow(scaled.mean(0) if len(image) != 3 else scaled.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)


def show_map(axis: Axes, phi: np.ndarray, limit: float = 0) -> Any:
    """Attributions (C, H, W), summed over the channels, from -limit to limit; 0: the largest of them."""
    summed = phi.sum(0)
    limit = limit or np.abs(summed).max() or 1
    return axis.imshow(summed, cmap="RdBu_r", vmin=-limit, vmax=limit)
