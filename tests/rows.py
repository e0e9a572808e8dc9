"""Made-up rows as a data set."""

import torch
from torch import Tensor

from attrpriors.data import Dataset, Output, Provenance, Split


def made_up(name: str, output: Output, x: Tensor, y: Tensor, sizes: tuple[int, int, int], **facts: object) -> Dataset:
    """Rows of x (N, *F) and y (N,) cut into train, val and test of the given sizes; the rest of the facts as given."""
    offset = facts.pop("offset", None)
    parts = [
        Split(x[rows], y[rows], rows.numpy(), offset[rows] if isinstance(offset, Tensor) else None)
        for rows in torch.arange(sum(sizes)).split(sizes)
    ]
    outputs = int(y.max()) + 1 if output == "classes" else 1
    return Dataset(name, output, outputs, *parts, Provenance("made up", "made up"), **facts)  # type: ignore[arg-type]
