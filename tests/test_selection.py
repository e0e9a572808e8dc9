from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from attrpriors.attribution import ExpectedGradients, Gradient, GreedyPIG, IntegratedGradients
from attrpriors.data import Dataset, Graph
from attrpriors.evaluate import better
from attrpriors.evaluate.selection import Masked, MaskedEdges, Selection, first, untrained
from attrpriors.model import GraphNetwork, graph_network, linear, mlp
from attrpriors.train import Trainer

TRAINER = partial(Trainer, epochs=2, batch_size=None, optimizer=partial(torch.optim.Adam, lr=0.05))
LOSS: dict[str, Callable] = {"path": partial(IntegratedGradients, steps=4), "greedy": partial(GreedyPIG, 3, 1, 4)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def selection(**changed: object) -> Selection:
    score = {"expected": partial(ExpectedGradients, k=20), "gradient": Gradient}
    settings = {"loss": LOSS, "score": score, "rows": 8, "features": [1, 2, 6], "retrained": [], "edges": []}
    settings |= {"trainer": TRAINER, "generator": seeded()}
    return Selection(**(settings | changed))  # type: ignore[arg-type]


def weighted(weights: list[float]) -> nn.Module:
    model = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([weights]))
    return model


def graph_of_three() -> nn.Module:
    """Features 0 - 1 - 2 in a chain; the score is minus four times what reaches the first."""
    data = Graph(torch.tensor([[0, 1], [1, 2]]), torch.tensor([1.0, 3.0]))
    head = nn.Sequential(nn.Flatten(), weighted([4.0, 0, 0]))
    model = GraphNetwork(data, 3, 1, head)
    with torch.no_grad():
        model.mix.weight.fill_(1)
        model.mix.bias.fill_(0)
    return model


# The objective


def test_the_objective_is_minus_the_mean_loss_with_hidden_features_at_their_mean() -> None:
    x, mean = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, -0.5])
    masked = Masked(weighted([1, 10]), x, torch.tensor([0.0, 1.0]), "regression", mean)
    found = masked(torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.5, 0.0]]))
    scores = torch.tensor([[21.0, 43.0], [1 - 5.0, 3 - 5.0], [0.75 - 5, 1.75 - 5]])
    torch.testing.assert_close(found, -(scores - torch.tensor([0.0, 1.0])).square().mean(1))


def test_what_integrated_gradients_find_sums_to_what_all_features_gain() -> None:
    x = torch.randn(9, 4, generator=seeded(), dtype=torch.float64)
    masked = Masked(weighted([1, 2, -1, 0]).double(), x, x[:, 0], "regression", torch.zeros(4).double())
    with torch.no_grad():
        ends = masked(torch.tensor([[0.0] * 4, [1.0] * 4]).double())
        phi = IntegratedGradients(steps=4)(masked, torch.ones(1, 4).double())[0]
    assert float(phi.sum()) == pytest.approx(float(ends[1] - ends[0]))
    assert phi[3] == 0


def test_greedy_selection_skips_a_copy_of_what_it_has() -> None:
    draws = torch.randn(200, 2, generator=seeded())
    x = torch.stack([draws[:, 0], draws[:, 0], draws[:, 1]], 1)
    model = nn.Sequential(weighted([1.0, 1.0, 0.9]), nn.Tanh())
    y = torch.tanh(draws[:, 0] + 0.45 * draws[:, 1])
    masked = Masked(model, x, y, "regression", torch.zeros(3))
    with torch.no_grad():
        order = GreedyPIG(3, 1, 20)(masked, torch.ones(1, 3)).argsort(descending=True)[0]
    assert set(order[:2].tolist()) & {0, 1}
    assert int(order[1]) == 2


# Graph networks


def test_a_graph_network_mixes_neighbours_as_the_normalised_adjacency_does(regression: Dataset) -> None:
    torch.manual_seed(0)
    model, x = graph_network(regression, [6], channels=2), regression.test.x
    adjacency = torch.eye(5)
    adjacency[2, 3] = adjacency[3, 2] = 2.0
    adjacency[3, 4] = adjacency[4, 3] = 0.5
    root = adjacency.sum(1).rsqrt()
    z = x @ (root[:, None] * adjacency * root)
    torch.testing.assert_close(model(x), model.head(torch.relu(model.mix(z[..., None]))))
    torch.testing.assert_close(model(x), model(x, torch.ones(len(x), 2)))
    torch.testing.assert_close(
        model(x, torch.zeros(len(x), 2)), model.head(torch.relu(model.mix((x / adjacency.sum(1))[..., None])))
    )


def test_a_graph_network_needs_a_graph(binary: Dataset) -> None:
    with pytest.raises(ValueError, match=r"graph_network needs a data set with a graph .* binary has none"):
        graph_network(binary, [4])


def test_the_edge_that_feeds_the_score_is_the_one_that_counts() -> None:
    model, x = graph_of_three(), torch.rand(6, 3, generator=seeded())
    masked = MaskedEdges(model, x, model(x)[:, 0].detach(), "regression", x.mean(0))
    assert float(masked(torch.ones(1, 2)).detach()) == 0
    assert float(masked(torch.tensor([[1.0, 0.0]])).detach()) == 0
    assert float(masked(torch.tensor([[0.0, 1.0]])).detach()) < 0
    with torch.no_grad():
        assert GreedyPIG(2, 1, 8)(masked, torch.ones(1, 2)).argmax() == 0


# The whole evaluation


def rows_of(evaluation: Selection, model: nn.Module, data: Dataset) -> dict[tuple[str, str], float]:
    rows = {(row[2]["explain"], row[0]): row[1] for row in evaluation(model, data)[0]}  # type: ignore[misc]
    assert all(better(metric) == "higher" for _, metric in rows)
    return rows


def test_the_features_that_decide_come_first_and_are_enough(binary: Dataset) -> None:
    model = nn.Sequential(nn.Flatten(), weighted([3, 2.5, 0.01, 0.01, 0.01, 0.01]))
    rows = rows_of(selection(rows=99), model, binary)
    for name in ("path of the loss", "greedy of the loss", "expected of the score", "gradient of the score"):
        assert rows[name, "truth_average_precision"] == 1
        assert rows[name, "roc_auc/features=2"] == pytest.approx(rows[name, "roc_auc"], abs=0.05)
        assert rows[name, "roc_auc/features=2"] > rows[name, "roc_auc/features=1"]
    assert rows["random", "truth_average_precision"] < 1
    assert {value for (_, metric), value in rows.items() if metric == "roc_auc/features=6"} == {
        rows["random", "roc_auc"]
    }


def test_a_network_trained_anew_sees_the_first_features_alone(binary: Dataset) -> None:
    seen: list[Dataset] = []

    class Spy(Trainer):
        def fit(self, model: nn.Module, data: Dataset, prior: object) -> None:  # type: ignore[override]
            seen.append(data)

    spy = partial(Spy, epochs=1, batch_size=None, optimizer=torch.optim.Adam)
    model = nn.Sequential(nn.Flatten(), weighted([3, 2.5, 0.01, 0.01, 0.01, 0.01]))
    rows = rows_of(selection(loss={}, score={"gradient": Gradient}, retrained=[2, 99], trainer=spy), model, binary)
    assert {metric for _, metric in rows if "retrained" in metric} == {"roc_auc/retrained=2"}
    last = seen[-1]
    for part in last.parts.values():
        varied = part.x.std(0) > 1e-6
        assert varied.tolist() == [True, True, False, False, False, False]
    torch.testing.assert_close(last.test.x[0, 2:], binary.train.x.mean(0)[2:])


def test_networks_trained_anew_start_alike_and_not_where_the_model_ended(binary: Dataset) -> None:
    model = mlp(binary, [4])
    one, other, third = (untrained(model, seed)[1].weight for seed in (5, 5, 6))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)
    assert not torch.equal(one, model[1].weight)


def test_a_graph_that_keeps_all_its_edges_keeps_its_prediction(regression: Dataset) -> None:
    torch.manual_seed(0)
    model = graph_network(regression, [6], channels=2)
    rows = rows_of(selection(edges=[1, 2, 3]), model, regression)
    assert rows["greedy of the loss", "prediction_kept/edges=2"] == pytest.approx(1)
    assert rows["greedy of the loss", "prediction_kept/edges=1"] < 1
    assert rows["random", "r2_within_drug/edges=2"] == pytest.approx(rows["random", "r2_within_drug"])
    assert ("random", "prediction_kept/edges=3") not in rows
    assert ("gradient of the score", "prediction_kept/edges=1") not in rows


def test_the_first_places_of_an_order_are_kept() -> None:
    assert first(2, torch.tensor([3, 0, 1, 2])).tolist() == [1, 0, 0, 1]


def test_what_cannot_be_selected_from_is_refused(images: Dataset, binary: Dataset) -> None:
    with pytest.raises(ValueError, match="selection needs a table with one score; images has features of shape"):
        selection()(linear(images), images)
    with pytest.raises(ValueError, match=r"edges are those of model=graph_network; found Sequential and \[5\]"):
        selection(edges=[5])(linear(binary), binary)
    with pytest.raises(ValueError, match=r"each of evaluate\.features is a whole number, 1 or more; found 0"):
        selection(features=[0])
