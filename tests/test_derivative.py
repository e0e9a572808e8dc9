"""The replaced operations have PyTorch's values and derivatives, whatever the model is made of."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from attrpriors import (
    ExpectedGradients,
    gini,
    graph_variation,
    l1_attribution,
    l2_attribution,
    model,
    total_variation,
)
from attrpriors.attribution import derivative
from attrpriors.attribution.gradient import gradient
from attrpriors.data import Dataset, Provenance, Split


class Residual(nn.Module):
    """Branches, in-place and functional activations, an activation of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding="same", groups=2)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x):
        h = F.relu(self.norm(self.one(x)))
        h = F.relu_(h + self.two(h)) + torch.relu(-h).square()
        return self.head(F.avg_pool2d(h, 3, 2, 1).mean((2, 3)))


def images(size: int) -> Dataset:
    x = torch.randn(6, 3, size, size)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    split = [Split(x[i : i + 2], y[i : i + 2], y[i : i + 2].numpy() + 10 * i) for i in (0, 2, 4)]
    return Dataset("made_up", "classes", 3, *split, Provenance("made up"))


MODELS = {
    "mlp": (8, lambda data: model.mlp(data, [16, 8])),
    "cnn": (8, lambda data: model.cnn(data, [4, 6], 8, kernel=3)),
    "cnn without normalisation": (9, lambda data: model.cnn(data, [4, 6], 8, kernel=3, batch_norm=False)),
    "vgg16": (32, lambda data: model.vgg16(data, groups=8, hidden=8)),
    "resnet18": (16, lambda data: model.resnet18(data, groups=8)),
    "smooth": (6, lambda data: nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.GELU(), nn.Flatten(), nn.Linear(16, 3))),
    "custom": (7, lambda data: Residual()),
    "other activations": (
        9,
        lambda data: nn.Sequential(
            nn.Conv2d(3, 4, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), bias=False),
            nn.LeakyReLU(0.2),
            nn.MaxPool2d(3, 1, 1, ceil_mode=True),
            nn.Conv2d(4, 4, 1),
            nn.Hardtanh(-0.5, 0.5),
            nn.AvgPool2d(2, 1, 1, count_include_pad=False),
            nn.ReLU6(),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
    ),
}


def he(module: nn.Module) -> None:
    """He initialisation, so that attributions and their derivatives are of order one."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)


@pytest.fixture(params=MODELS)
def network(request):
    torch.manual_seed(1)
    size, build = MODELS[request.param]
    data = images(size)
    net = build(data).eval()
    net(data.train.x)
    net.apply(he)
    return net.double(), data


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


PENALTIES = (total_variation, gini, l1_attribution, l2_attribution)


def slopes(net: nn.Module, data: Dataset) -> list[torch.Tensor]:
    """d penalty / d parameter, for each penalty and parameter."""
    explain = ExpectedGradients(data.train.x.double(), k=1, generator=seeded())
    phi = explain(net, data.val.x.double(), data.val.y)
    return [
        slope
        for penalty in PENALTIES
        for slope in torch.autograd.grad(penalty(phi), net.parameters(), retain_graph=True, materialize_grads=True)
    ]


def test_parameter_gradients_of_every_penalty_equal_stock_autograd_to_1e_12(network, monkeypatch):
    net, data = network
    ours = slopes(net, data)
    monkeypatch.setattr(derivative, "REPLACEMENTS", {})
    for one, other in zip(ours, slopes(net, data), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Hardtanh, nn.Tanh])
def test_parameter_gradients_of_the_graph_penalty_equal_stock_autograd_to_1e_12(activation, k, regression, monkeypatch):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 16), activation(), nn.Linear(16, 8), activation(), nn.Linear(8, 1))
    net, x = net.apply(he).double(), regression.val.x.double()

    def slopes_of_graph() -> list[torch.Tensor]:
        phi = ExpectedGradients(regression.train.x.double(), k, seeded())(net, x)
        return list(torch.autograd.grad(graph_variation(phi, regression), net.parameters(), materialize_grads=True))

    ours = slopes_of_graph()
    assert max(float(slope.abs().max()) for slope in ours) > 1e-4
    monkeypatch.setattr(derivative, "REPLACEMENTS", {})
    for one, other in zip(ours, slopes_of_graph(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("name", ["cnn", "custom", "other activations"])
def test_channels_last_gives_the_same_derivatives(name, monkeypatch):
    torch.manual_seed(1)
    size, build = MODELS[name]
    data = images(size)
    net = build(data).eval()
    net(data.train.x)
    net = net.apply(he).double()
    ours = slopes(net, data)
    last = {"memory_format": torch.channels_last}
    parts = {part: replace(rows, x=rows.x.to(**last)) for part, rows in data.parts.items()}
    data, net = replace(data, **parts), net.to(**last)
    assert any(not parameter.is_contiguous() for parameter in net.parameters())
    again = slopes(net, data)
    monkeypatch.setattr(derivative, "REPLACEMENTS", {})
    for one, two, other in zip(ours, again, slopes(net, data), strict=True):
        for slope in (one, two):
            torch.testing.assert_close(slope, other, rtol=1e-12, atol=1e-12 * float(other.abs().max()))


ACTIVATIONS = {
    "relu": F.relu,
    "torch.relu": torch.relu,
    "Tensor.relu": torch.Tensor.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "leaky_relu, slope 0": lambda x: F.leaky_relu(x, 0.0),
    "leaky_relu, slope below 0": lambda x: F.leaky_relu(x, -0.5),
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 2.0),
    "relu6": F.relu6,
}
SPECIAL = [*map(float, ("-inf", "inf", "nan")), -0.0, 0.0, 1e-45, -1e-45, 6.0, 2.0, -0.5, 1.5, -3.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("count", [1, 5])  # short inputs and long ones take different loops
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_values_and_slopes_at_infinity_not_a_number_and_the_kinks_are_stock_ones(activation, count, dtype):
    def derivatives() -> tuple[torch.Tensor, ...]:
        x = torch.tensor(SPECIAL * count, dtype=dtype, requires_grad=True)
        g = torch.linspace(1, 2, len(x), dtype=dtype, requires_grad=True)
        value = activation(x)
        (slope,) = torch.autograd.grad(value, x, g, create_graph=True)
        (second,) = torch.autograd.grad(slope, g, torch.linspace(3, 1, len(x), dtype=dtype))
        return value.detach(), slope.detach(), second

    with derivative.Exact():
        ours = derivatives()
    for one, other in zip(ours, derivatives(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_operations_may_be_called_with_keywords_alone():
    x = torch.randn(2, 3, 5, 5, generator=seeded())
    weight = torch.randn(4, 3, 3, 3, generator=seeded())
    calls = (
        lambda: torch.relu(input=x),
        lambda: F.leaky_relu(input=x, negative_slope=0.1),
        lambda: F.conv2d(input=x, weight=weight, stride=2),
        lambda: F.conv2d(x, weight=weight, padding=1),
        lambda: F.max_pool2d(input=x, kernel_size=2),
        lambda: F.avg_pool2d(input=x, kernel_size=2, stride=1),
    )
    for call in calls:
        with derivative.Exact():
            ours = call()
        torch.testing.assert_close(ours, call())


def test_third_derivatives_equal_stock_autograd(monkeypatch):
    torch.manual_seed(2)
    data = images(6)
    net = model.cnn(data, [4], 5, kernel=3, dropout=0.0).double().eval()

    def third() -> list[torch.Tensor]:
        phi = gradient(net, data.val.x.double(), data.val.y)
        first = torch.autograd.grad(phi.square().sum(), list(net.parameters()), create_graph=True, allow_unused=True)
        total = sum(slope.square().sum() for slope in first if slope is not None)
        return list(torch.autograd.grad(total, list(net.parameters()), materialize_grads=True))

    ours = third()
    monkeypatch.setattr(derivative, "REPLACEMENTS", {})
    for one, other in zip(ours, third(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_no_edge_leads_back_to_the_forward_graph():
    """The waste that is left out: the penalty of a ReLU network reaches its weights through the tangent alone."""
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
    phi = gradient(net, torch.randn(3, 4), None)
    seen, todo = set(), [phi.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [edge for edge, _ in node.next_functions]
    assert not [node for node in seen if "Addmm" in node.name()]
