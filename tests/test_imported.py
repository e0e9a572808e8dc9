"""A network of one's own, from a module that lies outside of the package."""

from pathlib import Path

import pytest
import torch
from command import SMALL, command
from torch import nn

from attrpriors.data import Dataset
from attrpriors.model import imported

MODULE = """
import torch
from torch import nn


def net(shape, outputs, units=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0], units),
                         nn.BatchNorm1d(units), nn.Tanh(), nn.Linear(units, outputs))


def of_data(data):
    return nn.Linear(len(data.features), data.outputs)


def bare():
    return nn.Linear(6, 1)


def words():
    return "a network"


def flat(shape):
    return nn.Sequential(nn.Linear(shape[0], 1), nn.Flatten(0))


def wide(shape):
    return nn.Linear(shape[0] + 1, 1)


def frozen(shape):
    return nn.Linear(shape[0], 1).requires_grad_(False)


class Mixing(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.layer, self.norm = nn.Linear(shape[0], 1), nn.BatchNorm1d(1, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.layer(x))


class Restless(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.layer = nn.Linear(shape[0], 1)

    def forward(self, x):
        return self.layer(x) + torch.rand(1)


class Detached(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.layer = nn.Linear(shape[0], 1)

    def forward(self, x):
        return self.layer(x.detach())
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_factory_gets_the_facts_that_it_asks_for_and_the_arguments(binary: Dataset) -> None:
    net = imported(binary, "my_networks:net", {"units": 5})
    assert [tuple(parameter.shape) for parameter in net.parameters()][:2] == [(5, 6), (5,)]
    assert imported(binary, "my_networks:of_data").weight.shape == (1, 6)
    assert imported(binary, "my_networks:bare").weight.shape == (1, 6)


def test_the_checks_leave_the_network_and_the_global_generator_as_they_were(binary: Dataset) -> None:
    torch.manual_seed(0)
    net, after = imported(binary, "my_networks:net"), torch.rand(())
    torch.manual_seed(0)
    alike = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    assert torch.equal(torch.rand(()), after)
    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), alike.parameters(), strict=True))
    assert all(module.training for module in net.modules())
    assert int(net[2].num_batches_tracked) == 0
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize(
    ("factory", "arguments", "sentence"),
    [
        ("my_networks.net", None, r"is package\.module:function; found 'my_networks\.net'"),
        ("no_networks:net", None, r"no_networks cannot be imported .*; is its folder in PYTHONPATH\?"),
        ("my_networks:nets", None, "my_networks has no function nets"),
        ("my_networks:net", {"depth": 3}, "does not go with shape, outputs, depth: .* unexpected keyword argument"),
        ("my_networks:words", None, r"returns a torch\.nn\.Module; found str"),
        ("my_networks:flat", None, r"3 rows have scores shaped \(3, 1\); found \(3,\)"),
        ("my_networks:wide", None, r"rows shaped \(3, 6\) are refused: .*mat1 and mat2 shapes"),
        ("my_networks:frozen", None, "has no parameters to train"),
        ("my_networks:Mixing", None, "a row's scores depend on the other rows"),
        ("my_networks:Restless", None, "other scores the second time"),
        ("my_networks:Detached", None, "no gradient of the scores reaches the input"),
    ],
)
def test_a_factory_that_does_not_fit_is_refused_in_a_sentence(binary, factory, arguments, sentence) -> None:
    with pytest.raises(ValueError, match=f"^model.factory {factory}|^model.factory is") as refusal:
        imported(binary, factory, arguments)
    assert refusal.match(sentence)


def test_a_run_trains_it_with_a_prior(tmp_path: Path) -> None:
    own = ["model=imported", "model.factory=my_networks:net", "model.arguments={units: 3}", "prior=gini"]
    result = command(*SMALL["health_simulated"], *own, "train.epochs=1", f"results={tmp_path}")
    assert result.status == 0, result.text
