"""MAPS: attribution maps under the images that they are of."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from .canvas import Place, show_image, show_map

SHOWN = 10  # methods, images


def maps(place: Place) -> Figure | None:
    """Attribution maps under their images: a row a method, an image a column, on one scale for all methods."""
    images, phis = place.arrays("image"), place.arrays("phi")
    methods = [method for method in phis if method in images]
    if not methods:
        return None
    titles = [str(name) for name in next(iter(place.arrays("class").values()), [np.empty(0)])[0]]
    shown = methods[:SHOWN]
    blocks = list(alike({method: (images[method][0], phis[method][0]) for method in shown}))
    rows = sum(1 + len(block) for _, block in blocks)
    columns = max(len(image) for image, _ in blocks)
    words = max(len(part) for method in shown for part in method.split(", "))
    figure = Figure(figsize=(0.75 * columns + 1.6 + 0.065 * words, 0.78 * rows + 0.75), layout="constrained")
    lines = iter(figure.subplots(rows, columns, squeeze=False))
    for image, block in blocks:
        line = next(lines)
        line[0].set_ylabel("image", rotation=0, ha="right", va="center")
        for axis, picture, title in zip(line, image, [*titles, *[""] * len(image)], strict=False):
            show_image(axis, picture)
            axis.set_title(title)
        limits = [np.abs(phi.sum(1)).max((1, 2)) for phi in block.values()]
        limit = np.max(limits, axis=0)
        for method, phi in block.items():
            line = next(lines)
            line[0].set_ylabel(method.replace(", ", "\n"), rotation=0, ha="right", va="center")
            for axis, one, most in zip(line, phi, limit, strict=False):
                drawn = show_map(axis, one, float(most))
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(drawn, ax=figure.axes, aspect=30, ticks=[drawn.norm.vmin, 0, drawn.norm.vmax])
    bar.set_ticklabels(["lowers the score", "0", "raises the score"])
    more = f"; {SHOWN} of {len(methods)} methods" if len(methods) > SHOWN else ""
    scale = "one scale an image, the same for all methods"
    figure.suptitle(f"{place.name}{more}; maps of the run with the lowest seed, {scale}")
    return figure


def alike(
    found: dict[str, tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Images (M, C, H, W), and the maps (M, C, H, W) of the methods in a row that explain these very images."""
    block: dict[str, np.ndarray] = {}
    last = np.empty(0)
    for method, (image, phi) in found.items():
        if block and not np.array_equal(image, last):
            yield last[:SHOWN], block
            block = {}
        last = image
        block[method] = phi[:SHOWN]
    yield last[:SHOWN], block
