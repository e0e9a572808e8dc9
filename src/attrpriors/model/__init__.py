"""MODEL: x (B, *F) -> scores (B, O), before softmax or sigmoid. Each function builds one for a data set."""

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..attribution.gradient import evaluating
from ..data import Dataset, Graph
from .image import image_shape
from .image import resnet18 as resnet18
from .image import vgg16 as vgg16
from .image import vgg16_imagenet as vgg16_imagenet


def linear(data: Dataset) -> nn.Module:
    """One affine map of the flattened features."""
    return mlp(data, hidden=())


def mlp(data: Dataset, hidden: Sequence[int], dropout: float = 0.0) -> nn.Module:
    """Fully connected ReLU network; dropout follows each hidden layer."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = data.train.x[0].numel()
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()] + [nn.Dropout(dropout)] * (dropout > 0)
        width = units
    return nn.Sequential(*layers, nn.Linear(width, data.outputs))


def glorot_mlp(data: Dataset, hidden: Sequence[int]) -> nn.Module:
    """`mlp` with the initial weights of Keras: Glorot's uniform weights, biases of zero."""
    model = mlp(data, hidden)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


class Trees(nn.Module):
    """A fitted estimator of scikit-learn as a model: scores (B, 1) in the log-odds, without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.estimator: Any = None

    def learn(self, estimator: Any) -> None:
        """Take a copy of a fitted estimator."""
        self.estimator = copy.deepcopy(estimator)

    def forward(self, x: Tensor) -> Tensor:
        if self.estimator is None:
            raise ValueError("model=trees has no score before train=boosting has fitted it")
        if x.requires_grad:
            raise ValueError("model=trees has no gradient to be explained by: evaluate=comparators leaves that out")
        return torch.from_numpy(self.estimator.decision_function(x.flatten(1).cpu().numpy())).to(x)[:, None]


def affine(data: Dataset, weight: Sequence[float], bias: float) -> nn.Module:
    """`linear` that starts from the given `weight`, one for each feature, and `bias`; for a single score."""
    count = data.train.x[0].numel()
    if data.outputs != 1 or len(weight) != count:
        raise ValueError(
            f"affine is for one score and takes a weight for each of the {count} features of {data.name}; "
            f"found {len(weight)} weights and {data.outputs} scores"
        )
    layer = nn.Linear(count, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight]))
        layer.bias.fill_(bias)
    return nn.Sequential(nn.Flatten(), layer)


def cnn(
    data: Dataset,
    channels: Sequence[int],
    hidden: int,
    kernel: int = 5,
    dropout: float = 0.5,
    batch_norm: bool = True,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Module:
    """The authors' MNIST net (mnist_model.py): conv-pool for each of `channels`, a hidden layer, dropout.

    `activation` is that of the hidden layer; the convolutions have ReLUs.
    """
    layers: list[nn.Module] = []
    width, height, breadth = image_shape(data, "cnn")
    least = 2 ** len(channels)
    if min(height, breadth) < least:
        raise ValueError(
            f"cnn with {len(channels)} poolings needs images of {least} x {least} or more; "
            f"{data.name} has {height} x {breadth}"
        )
    for units in channels:
        layers += [nn.Conv2d(width, units, kernel, padding=kernel // 2, bias=not batch_norm)]
        layers += [nn.BatchNorm2d(units)] * batch_norm + [nn.ReLU(), nn.MaxPool2d(2)]
        width, height, breadth = units, height // 2, breadth // 2
    layers += [nn.Flatten(), nn.Linear(width * height * breadth, hidden, bias=not batch_norm)]
    layers += [nn.BatchNorm1d(hidden)] * batch_norm + [activation(), nn.Dropout(dropout)]
    net = nn.Sequential(*layers, nn.Linear(hidden, data.outputs))
    return net.to(memory_format=torch.channels_last)  # faster here; with group normalisation it is slower


def pooled_cnn(data: Dataset, channels: Sequence[int], kernel: int = 5) -> nn.Module:
    """Convolutions with 2 x 2 pooling between them, then the largest value of each channel: images of any size."""
    layers: list[nn.Module] = []
    width, _, _ = image_shape(data, "pooled_cnn")
    for units in channels:
        layers += [nn.Conv2d(width, units, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(units)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        width = units
    layers[-1] = nn.AdaptiveMaxPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, data.outputs))


class GraphNetwork(nn.Module):
    """One graph convolution over the features (Kipf and Welling 2017, arXiv 1609.02907), then an `mlp`.

    Feature i gets h_i = relu(a z_i + b), a and b (channels,), from z_i = sum_j A_ij x_j / sqrt(d_i d_j): A holds the
    graph's weights and ones on its diagonal, d its row sums. Letters: B batch, F features, E edges, C channels.
    """

    def __init__(self, graph: Graph, features: int, channels: int, head: nn.Module) -> None:
        super().__init__()
        edges, weight = graph.edges.cpu(), graph.weight.cpu()
        self.edges: Tensor
        self.weight: Tensor
        self.own: Tensor
        degree = torch.ones(features).index_add(0, edges.flatten(), weight.repeat(2))
        self.register_buffer("edges", edges)  # (2, E)
        self.register_buffer("weight", weight / degree[edges].prod(0).sqrt())  # (E,)
        self.register_buffer("own", 1 / degree)  # (F,)
        self.mix, self.head = nn.Linear(1, channels), head

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """x (B, F) -> scores (B, O); `kept` (B, E) from 0 to 1 scales what goes along each edge."""
        weight = self.weight if kept is None else kept * self.weight
        one, other = self.edges
        z = (self.own * x).index_add(1, one, weight * x[:, other]).index_add(1, other, weight * x[:, one])
        scores: Tensor = self.head(torch.relu(self.mix(z[..., None])))
        return scores  # (B, F, C) before the head


def graph_network(data: Dataset, hidden: Sequence[int], channels: int = 4) -> nn.Module:
    """A GraphNetwork on the data set's graph."""
    if data.graph is None:
        raise ValueError(f"graph_network needs a data set with a graph between its features; {data.name} has none")
    layers: list[nn.Module] = [nn.Flatten()]
    width = data.train.x.shape[1] * channels
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    head = nn.Sequential(*layers, nn.Linear(width, data.outputs))
    return GraphNetwork(data.graph, data.train.x.shape[1], channels, head)


def imported(data: Dataset, factory: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """The network that `factory`, "package.module:function", returns.

    It is called with `arguments`, and with those of data (this Dataset), shape (*F of one row), outputs (O) that it
    has a parameter for.
    """
    make, arguments = _found(factory), arguments or {}
    facts = {"data": data, "shape": data.shape, "outputs": data.outputs}
    asked = inspect.signature(make)
    told = {name: fact for name, fact in facts.items() if name in asked.parameters} | dict(arguments)
    try:
        asked.bind(**told)
    except TypeError as error:
        raise ValueError(f"model.factory {factory}{asked} does not go with {', '.join(told)}: {error}") from error
    model = make(**told)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model.factory {factory} returns a torch.nn.Module; found {type(model).__name__}")
    _check(model, data, factory)
    return model


def _found(factory: str) -> Callable[..., nn.Module]:
    """What "package.module:function" names."""
    module, colon, function = factory.partition(":")
    if not (module and colon and function):
        raise ValueError(f"model.factory is package.module:function; found {factory!r}")
    try:
        make = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise ValueError(
            f"model.factory {factory}: {module} cannot be imported ({error}); is its folder in PYTHONPATH?"
        ) from error
    if not callable(make):
        raise ValueError(f"model.factory {factory}: {module} has no function {function}")
    found: Callable[..., nn.Module] = make
    return found


def _check(model: nn.Module, data: Dataset, name: str) -> None:
    """ValueError where three rows show that `model` cannot be trained, or not be explained row by row."""
    x = data.train.x[:3].cpu().requires_grad_()  # (B, *F)
    try:
        with evaluating(model):
            scores, again, two = model(x), model(x), model(x[:2])
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"model.factory {name}: rows shaped {tuple(x.shape)} are refused: {error}") from error
    if scores.shape != (len(x), data.outputs):
        found, expected = tuple(scores.shape), (len(x), data.outputs)
        raise ValueError(f"model.factory {name}: {len(x)} rows have scores shaped {expected}; found {found}")
    if not torch.equal(scores, again):
        raise ValueError(f"model.factory {name}: the same rows have other scores the second time, in eval mode")
    if not torch.allclose(scores[:2], two, rtol=1e-3, atol=1e-4):
        raise ValueError(f"model.factory {name}: a row's scores depend on the other rows, in eval mode")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"model.factory {name}: the network has no parameters to train")
    if not scores.requires_grad or torch.autograd.grad(scores.sum(), x, allow_unused=True)[0] is None:
        raise ValueError(f"model.factory {name}: no gradient of the scores reaches the input")
