"""DATASET: what a loader returns. One file per data set, each with `load(..., seed) -> Dataset`.

Letters: N rows, F features (*F: any shape of features), O outputs, E edges.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Output = Literal["classes", "binary", "regression"]


@dataclass(frozen=True)
class Split:
    """Rows of one part of a data set.

    Shapes: x (N, *F), y (N,), unit (N,), offset (N,) or None. Unit: x as the network reads it; where `offset` is given,
    `y + offset` is the outcome in its own unit and `y` is what a model learns.
    """

    x: Tensor  # (N, *F) float32
    y: Tensor  # (N,) int64 class index, or float32 0/1 (binary) or value (regression)
    unit: np.ndarray  # (N,) what is split: the image, person or cell line of each row
    offset: Tensor | None = None  # (N,) float32, added back to y and scores for the metrics

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: str | torch.device) -> "Split":
        """The same rows with their tensors on `device`."""
        offset = None if self.offset is None else self.offset.to(device)
        return Split(self.x.to(device), self.y.to(device), self.unit, offset)


@dataclass(frozen=True)
class Graph:
    """Undirected weighted graph on features: each edge once, as indices into the feature axis.

    Shapes: edges (2, E), weight (E,). Unit: weights as the graph has them; graph_variation is linear in them.
    """

    edges: Tensor  # (2, E) int64
    weight: Tensor  # (E,) float32


@dataclass(frozen=True)
class Provenance:
    """Where the rows come from. `stand_in` is empty for the data set itself, else it says what this is."""

    name: str  # "GDSC drug response"
    stand_in: str = ""  # "simulated", "5,000 of 60,000 training digits", "JPEG copies"
    files: Mapping[str, str] = field(default_factory=dict)  # file name -> sha256
    kind: str = "real"  # or "generated": a data set that is a program

    @property
    def source(self) -> str:
        """What the rows are, in the words of a table: "real", "generated", "stand-in: simulated"."""
        return f"stand-in: {self.stand_in}" if self.stand_in else self.kind


@dataclass(frozen=True)
class Scale:
    """What standardised numbers mean: centre + spread * number, in their own unit."""

    centre: Tensor  # () of the outcome; of the features, shaped to broadcast to one row (*F)
    spread: Tensor


@dataclass(frozen=True)
class Rows:
    """New rows, of which no outcome is known."""

    x: Tensor  # (N, *F) float32, as the model takes them
    unit: np.ndarray  # (N,) the name of each


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test rows, and every fact about them that another room may need.

    Shapes: x (N, *F) and y (N,) of each part; truth (F,). Unit: that of the parts. Errors: ValueError where a part has
    no rows, a feature is missing or infinite, or a unit (image, person, cell line) is in two parts.
    """

    name: str  # the name of its configuration: "mnist"
    output: Output
    outputs: int  # O: number of scores of a model, 1 unless output is "classes"
    train: Split
    val: Split
    test: Split
    provenance: Provenance
    features: tuple[str, ...] = ()  # F names; empty for images
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # group -> feature indices
    graph: Graph | None = None
    own_graph: Graph | None = None  # the data set's own, where `graph` is a control to train on in its place
    truth: Tensor | None = None  # (F,) bool, the features that matter where they are known (simulations)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # drug -> features it aims at
    gene_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # pathway -> features
    classes: tuple[str, ...] = ()  # their names, in the order of y; of a binary outcome those of 0 and 1
    scale: Scale | None = None  # of x, where the features have units of their own
    outcome: Scale | None = None  # of y, where it is standardised
    read: Callable[[str], Rows] | None = None  # a path -> new rows like these, where there can be any

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            if len(part) == 0:
                raise ValueError(f"{self.name}: the {name} part has no rows")
            if not part.x.sum().isfinite():  # NaN and infinity reach the sum, in a fraction of the time
                raise ValueError(f"{self.name}: the {name} part has missing or infinite features")
        for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
            both = np.intersect1d(self.parts[one].unit, self.parts[other].unit)
            if len(both):
                raise ValueError(f"{self.name}: {both[0]!r} is in both the {one} and the {other} part")

    @property
    def parts(self) -> dict[str, Split]:
        """By name: train, val, test."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def shape(self) -> tuple[int, ...]:
        """*F, the shape of one row's features: (1, 28, 28) or (876,)."""
        return tuple(self.train.x.shape[1:])

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data set with its tensors on `device`."""
        if self.train.x.device == torch.device(device):
            return self
        graph, own = (
            one and Graph(one.edges.to(device), one.weight.to(device)) for one in (self.graph, self.own_graph)
        )
        truth = None if self.truth is None else self.truth.to(device)
        train, val, test = (part.to(device) for part in self.parts.values())
        return replace(self, train=train, val=val, test=test, graph=graph, own_graph=own, truth=truth)
