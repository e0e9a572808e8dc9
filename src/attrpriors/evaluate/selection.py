"""SELECTION: what is left of a model that keeps its first features, or the first edges of its graph, and no more?

Masks are the input of attributions here: P places (features or edges) from 0, hidden, to 1, kept.
Letters: N rows, M masks, P places, F features, E edges, O outputs.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn import metrics
from torch import Tensor, nn

from ..attribution import Attribution
from ..attribution.gradient import at_least_one, evaluating
from ..build import complete
from ..data import Dataset, Output
from ..model import GraphNetwork
from ..prior import NoPrior
from ..record import Row
from ..train import Trainer, task_loss
from . import performance, scores_of


class Masked(nn.Module):
    """Masks (M, P) -> minus the mean loss (M,) of the rows x (N, F) against y: what a selection is to raise.

    A hidden feature is at its `mean` (F,).
    """

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, output: Output, mean: Tensor) -> None:
        super().__init__()
        self.model, self.x, self.y, self.output, self.mean = model, x, y, output, mean

    def forward(self, masks: Tensor) -> Tensor:
        return -torch.stack([task_loss(self.scores(self.x, mask), self.y, self.output) for mask in masks])

    def scores(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, O) under one mask (P,)."""
        return self.model(self.shown(x, mask))

    def shown(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.mean + mask * (x - self.mean)


class MaskedEdges(Masked):
    """The same for the edges of a GraphNetwork: nothing goes along a hidden one."""

    def scores(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.model(x, mask)


@dataclass
class Selection:
    """Test scores of a model that keeps its first n features, or edges, in the order of each attribution.

    An order comes from `rows` validation rows. `loss`: attributions of a mask of ones to minus the mean loss, largest
    first; the loss of edges is against the model's own scores. `score`: mean |phi| of the features, largest first.
    And a random order. Numbers n above the number of features, or edges, are left out.
    """

    loss: Mapping[str, Callable[..., Attribution]]
    score: Mapping[str, Callable[..., Attribution]]
    rows: int
    features: Sequence[int]  # n kept, the others at their training mean
    retrained: Sequence[int]  # n kept in a new network, trained and tested without the others
    edges: Sequence[int]  # n kept of the graph of a GraphNetwork
    trainer: Callable[..., Trainer]  # of the new networks
    generator: torch.Generator

    def __post_init__(self) -> None:
        at_least_one(**{"evaluate.rows": self.rows})
        for name in ("features", "retrained", "edges"):
            for n in getattr(self, name):
                at_least_one(**{f"each of evaluate.{name}": n})

    def __call__(self, model: nn.Module, data: Dataset) -> tuple[list[Row], dict[str, np.ndarray]]:
        if len(data.shape) != 1 or data.output == "classes":
            raise ValueError(
                f"selection needs a table with one score; {data.name} has features of shape {data.shape} "
                f"and the output {data.output!r}"
            )
        if self.edges and not isinstance(model, GraphNetwork):
            raise ValueError(f"edges are those of model=graph_network; found {type(model).__name__} and {self.edges}")
        chosen = torch.randperm(len(data.val), generator=self.generator)[: self.rows].to(data.val.x.device)
        x, y, mean = data.val.x[chosen], data.val.y[chosen], data.train.x.mean(0)
        seed = int(torch.randint(2**62, (), generator=self.generator))
        rows: list[Row] = []
        features = Masked(model, x, y, data.output, mean)
        orders = self._orders(features, len(mean), seed) | self._by_score(model, data, x, seed)
        for name, order in orders.items():
            found = [*self._features(features, data, order), *self._anew(features, data, order, seed)]
            rows += [(*row, {"explain": name}) for row in found]
        if self.edges and isinstance(model, GraphNetwork):
            edges = MaskedEdges(model, x, scores_of(model, x)[:, 0], "regression", mean)
            for name, order in self._orders(edges, len(model.weight), seed).items():
                rows += [(*row, {"explain": name}) for row in self._edges(edges, data, order)]
        return rows, {}

    def _orders(self, masked: Masked, places: int, seed: int) -> dict[str, Tensor]:
        """Places (P,) by what they add to minus the loss, largest first, and at random."""
        ones = torch.ones(1, places).to(masked.x)
        with torch.no_grad():
            phi = {name: complete(method, generator=drawn(seed))(masked, ones)[0] for name, method in self.loss.items()}
        orders = {f"{name} of the loss": value.argsort(descending=True) for name, value in phi.items()}
        return orders | {"random": torch.randperm(places, generator=drawn(seed)).to(ones.device)}

    def _by_score(self, model: nn.Module, data: Dataset, x: Tensor, seed: int) -> dict[str, Tensor]:
        """Features (F,) by their mean |phi|, largest first."""
        orders = {}
        for name, method in self.score.items():
            with torch.no_grad():
                phi = complete(method, background=data.train.x, generator=drawn(seed))(model, x)
            orders[f"{name} of the score"] = phi.abs().mean(0).argsort(descending=True)
        return orders

    def _features(self, features: Masked, data: Dataset, order: Tensor) -> Iterator[tuple[str, float]]:
        yield measure(scores_of(features.model, data.test.x), data)
        for n, scores in kept(features, data.test.x, order, self.features):
            yield measure(scores, data, f"/features={n}")
        if data.truth is not None:
            truth = metrics.average_precision_score(data.truth.cpu(), -order.argsort().cpu())
            yield "truth_average_precision", float(truth)

    def _edges(self, edges: MaskedEdges, data: Dataset, order: Tensor) -> Iterator[tuple[str, float]]:
        """Of every n the test score, and R2 of what the model says against what it says with all edges."""
        whole = scores_of(edges.model, data.test.x)
        for n, scores in kept(edges, data.test.x, order, self.edges):
            yield measure(scores, data, f"/edges={n}")
            yield f"prediction_kept/edges={n}", float(metrics.r2_score(whole.cpu(), scores.cpu()))

    def _anew(self, features: Masked, data: Dataset, order: Tensor, seed: int) -> Iterator[tuple[str, float]]:
        """(metric, value) of new networks, trained without the features that are hidden; all start alike."""
        for n in (n for n in self.retrained if n <= len(order)):
            mask = first(n, order)
            shown = {name: replace(part, x=features.shown(part.x, mask)) for name, part in data.parts.items()}
            model, part = (
                untrained(features.model, seed),
                replace(data, train=shown["train"], val=shown["val"], test=shown["test"]),
            )
            complete(self.trainer, generator=drawn(seed)).fit(model, part, NoPrior())
            yield measure(scores_of(model, part.test.x), data, f"/retrained={n}")


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first(n: int, order: Tensor) -> Tensor:
    """The mask (P,) that keeps the first n places of an order (P,)."""
    return torch.zeros(len(order), device=order.device).index_fill(0, order[:n], 1)


def kept(masked: Masked, x: Tensor, order: Tensor, counts: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
    """n, and the scores (N, O) of x (N, F) while the first n places of an order (P,) are kept."""
    for n in (n for n in counts if n <= len(order)):
        with torch.no_grad(), evaluating(masked.model):
            scores = torch.cat([masked.scores(rows, first(n, order)) for rows in x.split(1000)])
        yield n, scores


def measure(scores: Tensor, data: Dataset, level: str = "") -> tuple[str, float]:
    """The one metric of the test rows that a selection is judged by."""
    rows = dict(performance(scores, data.test, data.output))
    name = next(name for name in ("roc_auc", "r2_within_drug", "r2") if name in rows)
    return name + level, rows[name]


def untrained(model: nn.Module, seed: int) -> nn.Module:
    """A copy of the model with new weights, the same for the same seed."""
    model = copy.deepcopy(model)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]
    return model
