from collections.abc import Callable

import numpy as np
import pytest
import torch

from attrpriors.data import Dataset, drug_simulated
from attrpriors.data.network import Choice, coexpressed, network

RANDOM: tuple[Choice, ...] = ("rewired", "uniform")
CONTROLS: tuple[Choice, ...] = (*RANDOM, "coexpression")
OWN = np.concatenate([np.array([[0] * 9, range(1, 10)]), np.stack([np.arange(10, 29), np.arange(11, 30)])], 1)
EXPRESSION = np.random.default_rng(0).normal(size=(40, 30))


def made(choice: Choice, seed: int = 1) -> np.ndarray:
    return network(choice, OWN, EXPRESSION, seed, "made_up")


def degrees(edges: np.ndarray) -> np.ndarray:
    return np.bincount(edges.flatten(), minlength=30)


@pytest.mark.parametrize("choice", CONTROLS)
def test_a_control_has_as_many_edges_without_loops_and_none_twice(choice: Choice) -> None:
    edges = made(choice)
    assert edges.shape == OWN.shape
    assert (edges[0] < edges[1]).all()
    assert len(set(map(tuple, edges.T.tolist()))) == OWN.shape[1]
    assert set(map(tuple, edges.T.tolist())) != set(map(tuple, OWN.T.tolist()))


def test_rewiring_keeps_every_degree_and_few_of_the_edges() -> None:
    edges = made("rewired")
    assert np.array_equal(degrees(edges), degrees(OWN))
    assert not np.array_equal(degrees(made("uniform")), degrees(OWN))
    kept = set(map(tuple, edges.T.tolist())) & set(map(tuple, OWN.T.tolist()))
    assert len(kept) < OWN.shape[1] / 2


@pytest.mark.parametrize("choice", RANDOM)
def test_a_random_graph_follows_its_seed(choice: Choice) -> None:
    assert np.array_equal(made(choice), made(choice))
    assert not np.array_equal(made(choice), made(choice, seed=2))


def test_coexpression_joins_the_pairs_of_largest_correlation() -> None:
    standardised = (EXPRESSION - EXPRESSION.mean(0)) / EXPRESSION.std(0)
    one, other = coexpressed(standardised, 50)
    correlation = np.abs(np.corrcoef(EXPRESSION.T))
    joined = np.zeros((30, 30), dtype=bool)
    joined[one, other] = True
    apart = np.triu(~joined, 1)
    assert joined.sum() == 50
    assert correlation[joined].min() > correlation[apart].max()


def test_a_graph_is_its_own_unless_a_control_is_asked_for() -> None:
    assert made("own") is OWN


def test_another_choice_and_a_graph_without_a_swap_are_refused() -> None:
    with pytest.raises(ValueError, match="made_up: graph is 'random': expected one of own, rewired, uniform, coexpr"):
        network("random", OWN, EXPRESSION, 0, "made_up")  # type: ignore[arg-type]
    star = np.array([[0, 0, 0, 0], [1, 2, 3, 4]])
    with pytest.raises(ValueError, match="made_up: its graph of 4 edges cannot be rewired: "):
        network("rewired", star, EXPRESSION, 0, "made_up")


@pytest.mark.parametrize("choice", CONTROLS)
def test_a_data_set_trains_on_the_control_and_reports_its_own_graph(choice: Choice) -> None:
    own, data = (drug_simulated.load(seed=3, lines=40, graph=one) for one in ("own", choice))
    assert own.graph is not None
    assert own.own_graph is None
    assert data.graph is not None
    assert data.own_graph is not None
    assert torch.equal(data.own_graph.edges, own.graph.edges)
    assert data.graph.edges.shape == own.graph.edges.shape
    assert data.graph.edges.min() >= drug_simulated.DRUGS
    assert not torch.equal(data.graph.edges, own.graph.edges)
    assert torch.equal(data.train.x, own.train.x)


def test_coexpression_reads_the_training_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drug_simulated.load(seed=3, lines=40, graph="coexpression")
    world = drug_simulated.world(3)
    others = ~world.expression.index.isin(np.unique(data.train.unit))
    world.expression.loc[others] = np.random.default_rng(5).normal(size=(others.sum(), 200))
    monkeypatch.setattr(drug_simulated, "world", lambda seed, follows: world)
    again = drug_simulated.load(seed=3, lines=40, graph="coexpression")
    assert data.graph is not None
    assert again.graph is not None
    assert not torch.equal(data.test.x, again.test.x)
    assert torch.equal(data.graph.edges, again.graph.edges)


@pytest.mark.parametrize("choice", CONTROLS)
def test_the_configuration_chooses_it(choice: Choice, configured: Callable[..., Dataset]) -> None:
    data = configured("drug_simulated", graph=choice)
    assert data.own_graph is not None
