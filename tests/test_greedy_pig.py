import pytest
import torch
from torch import Tensor, nn

from attrpriors.attribution import GreedyPIG, IntegratedGradients


class Redundant(nn.Module):
    """One of the first two features is enough; the third adds a little."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 - torch.relu(1 - x[:, 0] - x[:, 1]) + 0.4 * x[:, 2]


class Counting(nn.Module):
    """Counts the rows that it is asked about."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.rows = model, 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        return self.model(x)


def network(inputs: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 12), nn.Tanh(), nn.Linear(12, 3)).double()


def rows(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(autouse=True)
def without_a_graph() -> object:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("baseline", [0.0, 0.3, "mean", "blurred"])
def test_one_round_is_integrated_gradients(baseline: float | str) -> None:
    model, x = network(48), rows(5, 3, 4, 4)
    settings = {"baseline": baseline, "steps": 7, "background": rows(9, 3, 4, 4, seed=2), "blur": 1.0}
    greedy = GreedyPIG(rounds=1, **settings)(model, x)  # type: ignore[arg-type]
    torch.testing.assert_close(greedy, IntegratedGradients(**settings)(model, x))  # type: ignore[arg-type]


def test_a_redundant_feature_is_passed_over_once_its_twin_is_chosen() -> None:
    x = torch.ones(1, 3, dtype=torch.float64)
    plain = IntegratedGradients(steps=100)(Redundant(), x)
    torch.testing.assert_close(plain, torch.tensor([[0.5, 0.5, 0.4]]).double(), atol=5e-3, rtol=0)
    greedy = GreedyPIG(rounds=3, per_round=1, steps=100)(Redundant(), x)
    # values 0.5, then 0.4, then nothing is left to add: each round that was left lifts by 3 * 0.5
    torch.testing.assert_close(greedy, torch.tensor([[3.5, 0.0, 1.9]]).double(), atol=4e-2, rtol=0)


@pytest.mark.parametrize("shape", [(6,), (2, 3, 3)], ids=["features", "pixels of two channels"])
def test_phi_orders_features_as_round_after_round_of_integrated_gradients_chose_them(shape: tuple[int, ...]) -> None:
    x, rounds, per_round = rows(4, *shape), 3, 2
    model = network(x[0].numel())
    classes = model(x).argmax(1)
    phi = GreedyPIG(rounds, per_round, steps=5, baseline=0.2)(model, x, classes)
    for row, label, found in zip(x, classes, phi, strict=True):
        start, order = torch.full_like(row, 0.2), []
        for _ in range(rounds):
            value = IntegratedGradients(baseline=start, steps=5)(model, row[None], label[None])[0]
            value = value.sum(0).flatten() if len(shape) == 3 else value
            best = [int(i) for i in value.argsort(descending=True) if int(i) not in order]
            order += best[:per_round]
            known = torch.zeros(len(value)).index_fill(0, torch.tensor(order), 1).bool()
            start = torch.where(known.reshape(shape[-2:]), row, start)
        order += best[per_round:]  # what the last round left, as it saw it
        summed = found.sum(0).flatten() if len(shape) == 3 else found
        assert summed.argsort(descending=True).tolist() == order


def test_phi_of_a_row_depends_neither_on_the_other_rows_nor_on_the_chunk() -> None:
    model, x = network(6), rows(7, 6)
    together = GreedyPIG(3, 2, steps=4)(model, x)
    alone = torch.cat([GreedyPIG(3, 2, steps=4, chunk=1)(model, row[None]) for row in x])
    torch.testing.assert_close(together, alone)


def test_the_cost_is_rounds_times_steps_gradients_a_row() -> None:
    model, x = Counting(network(6)), rows(7, 6)
    GreedyPIG(rounds=3, per_round=1, steps=4)(model, x, torch.zeros(7, dtype=torch.int64))
    assert model.rows == 7 * 3 * 4


def test_more_rounds_than_features_choose_them_all() -> None:
    phi = GreedyPIG(rounds=5, per_round=4, steps=4)(network(6), rows(2, 6))
    assert torch.isfinite(phi).all()


def test_training_through_it_is_refused() -> None:
    with torch.enable_grad(), pytest.raises(ValueError, match="greedy_pig cannot be trained through"):
        GreedyPIG()(network(6), rows(2, 6))


@pytest.mark.parametrize("setting", ["rounds", "per_round", "steps", "chunk"])
def test_numbers_below_one_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} is a whole number, 1 or more; found 0"):
        GreedyPIG(**{setting: 0})


def test_a_baseline_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the baseline is shaped \(5,\), a row of x \(6,\)"):
        GreedyPIG(baseline=torch.zeros(5))(network(6), rows(2, 6))
