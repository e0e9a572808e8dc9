"""SALIENCY: the maps of several attributions of one network, under their images."""

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from .canvas import Place

SHOWN = 10  # images


def saliency(place: Place) -> Figure | None:
    """Images, then a row a method; a pixel's shade is its place in the order of the map, from the last to the first."""
    found = {name: place.arrays(name) for name in ("image", "maps", "methods")}
    if not found["maps"]:
        return None
    image, maps, methods = (next(iter(arrays.values()))[0] for arrays in found.values())
    image, maps = image[:SHOWN], maps[:, :SHOWN]
    figure = Figure(figsize=(0.75 * len(image) + 2.2, 0.78 * (len(maps) + 1) + 0.5), layout="constrained")
    rows = figure.subplots(len(maps) + 1, len(image), squeeze=False)
    for row, name, pictures in zip(rows, ["image", *methods], [image, *maps], strict=True):
        row[0].set_ylabel(name.replace("_", "\n", 1), rotation=0, ha="right", va="center")
        for axis, picture in zip(row, pictures, strict=True):
            if name == "image":
                shown = ((picture - picture.min()) / (np.ptp(picture) or 1)).transpose(1, 2, 0)
                axis.imshow(shown.squeeze(), cmap="gray")
            else:
                axis.imshow(rankdata(picture).reshape(picture.shape), cmap="magma")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    figure.suptitle(f"{place.name}; the order of the pixels, brightest first; of the run with the lowest seed")
    return figure
