"""Cases: networks and random rows of fixed sizes. Timings are read off them, never scores."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from .. import model
from ..data import Dataset, Graph, Output, Provenance, Split
from ..prior import Penalty, gini, graph_variation, total_variation


@dataclass(frozen=True)
class Case:
    """A network, a batch and a prior on expected gradients with k references."""

    name: str
    shape: tuple[int, ...]  # *F of a row
    output: Output
    network: Callable[[Dataset], nn.Module]
    penalty: Penalty
    batch: int
    k: int
    genes: int = 0  # the last features, nodes of the graph
    edges: int = 0
    rows: int = 1000  # training rows, which are the background as well
    weight: float = 0.1  # of the prior

    def data(self, seed: int = 0) -> Dataset:
        """Normal x and random y: `rows` training rows, 100 of validation and 100 of test."""
        draws = torch.Generator().manual_seed(seed)
        outputs = 10 if self.output == "classes" else 1

        def part(name: str, rows: int) -> Split:
            x = torch.randn(rows, *self.shape, generator=draws)
            y = torch.arange(rows) % max(outputs, 2)
            return Split(x, y if outputs > 1 else y.float(), np.array([f"{name}/{row}" for row in range(rows)]))

        parts = (part("train", self.rows), part("val", 100), part("test", 100))
        graph = self._graph(draws) if self.edges else None
        return Dataset(self.name, self.output, outputs, *parts, Provenance("random", "random"), graph=graph)

    def _graph(self, draws: torch.Generator) -> Graph:
        """Random pairs of the last features, each once."""
        pairs = torch.combinations(torch.arange(self.shape[0] - self.genes, self.shape[0]))
        chosen = torch.randperm(len(pairs), generator=draws)[: self.edges]
        return Graph(pairs[chosen].T.contiguous(), torch.ones(self.edges))

    def model(self, data: Dataset, seed: int = 0) -> nn.Module:
        """The network with He initialisation, so that attributions and their derivatives are of order one."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.network(data)
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(layer.weight)
        return network


def plain_vgg16(data: Dataset) -> nn.Module:
    """The project's VGG16 (torchvision's layers "D", one hidden layer) without normalisation and dropout."""
    layers = model.vgg16(data, dropout=0.0).children()
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.GroupNorm | nn.Dropout)))


def plain_cnn(data: Dataset) -> nn.Module:
    """The authors' MNIST net without normalisation and dropout."""
    return model.cnn(data, [32, 64], 1024, dropout=0.0, batch_norm=False)


MLP = Case("mlp", (118,), "binary", lambda data: model.mlp(data, [512, 128, 32]), gini, batch=100, k=1)
CNN = Case("cnn", (1, 28, 28), "classes", plain_cnn, total_variation, batch=50, k=1)
VGG16 = Case("vgg16", (3, 32, 32), "classes", plain_vgg16, total_variation, batch=64, k=1)
GRAPH = Case(
    name="mlp_graph",
    shape=(876,),
    output="regression",
    network=lambda data: model.mlp(data, [512, 256]),
    penalty=graph_variation,
    batch=32,
    k=10,
    genes=706,
    edges=1575,
)
CASES = {case.name: case for case in (MLP, CNN, VGG16, GRAPH)}
EXPLAINED = {case.name: replace(case, rows=2000) for case in (CNN, MLP)}  # references for 5 rows at k = 400
SAID = {
    "mlp": "MLP 118-512-128-32-1, batch 100, k = 1, Gini",
    "cnn": "CNN 1 x 28 x 28 (32 and 64 5 x 5 convolutions, fc 1024), batch 50, k = 1, total variation",
    "vgg16": "VGG16 3 x 32 x 32 without normalisation, batch 64, k = 1, total variation",
    "mlp_graph": "MLP 876-512-256-1, graph of 706 nodes and 1575 edges, batch 32, k = 10",
}
