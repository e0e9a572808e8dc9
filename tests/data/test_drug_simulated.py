from collections.abc import Callable

import numpy as np
import pytest
import torch

from attrpriors.data import Dataset, drug_simulated
from attrpriors.data.drug_simulated import FOLLOWS, Follows


@pytest.fixture(scope="module")
def data() -> Dataset:
    return drug_simulated.load(seed=2)


def module(gene: np.ndarray) -> np.ndarray:
    return gene // drug_simulated.SIZE


def true_genes(data: Dataset) -> np.ndarray:
    assert data.truth is not None
    return torch.nonzero(data.truth).flatten().numpy() - drug_simulated.DRUGS


def test_the_screen_has_its_declared_size(data: Dataset) -> None:
    assert data.shape == (220,)
    assert [len(np.unique(part.unit)) for part in data.parts.values()] == [100, 30, 70]
    assert [len(part) for part in data.parts.values()] == [1800, 540, 1260]
    assert data.output == "regression"
    assert data.provenance.stand_in == "simulated"


def test_a_seed_is_a_world_of_its_own(data: Dataset) -> None:
    again, other = drug_simulated.load(seed=2), drug_simulated.load(seed=3)
    for part in ("train", "val", "test"):
        assert torch.equal(data.parts[part].x, again.parts[part].x)
        assert torch.equal(data.parts[part].y, again.parts[part].y)
    assert data.graph is not None
    assert other.graph is not None
    assert data.graph.edges.shape == other.graph.edges.shape
    assert not torch.equal(data.graph.edges, other.graph.edges)
    assert not torch.equal(data.train.x, other.train.x)


def test_the_network_is_modular_and_has_hubs() -> None:
    one, other = drug_simulated.network(np.random.default_rng(0))
    assert (one < other).all()
    assert len(set(zip(one, other, strict=True))) == len(one)
    inside = module(one) == module(other)
    # a first edge, then two for each of the 18 later genes of ten modules
    assert inside.sum() == 10 * (1 + 2 * 18)
    assert (~inside).sum() == drug_simulated.BRIDGES
    degree = np.bincount(np.concatenate([one, other]), minlength=200)
    assert degree.min() >= 1
    assert degree.max() > 2.5 * degree.mean()


@pytest.mark.parametrize("follows", FOLLOWS)
def test_genes_of_one_module_are_correlated_more_than_genes_of_two(follows: Follows) -> None:
    expression = drug_simulated.world(0, follows).expression.to_numpy()
    assert expression.var(0).mean() == pytest.approx(1, abs=0.1)
    correlation = np.corrcoef(expression.T)
    gene = np.arange(200)
    same = module(gene)[:, None] == module(gene)
    assert correlation[same & ~np.eye(200, dtype=bool)].mean() == pytest.approx(0.3, abs=0.1)
    assert correlation[~same].mean() == pytest.approx(0, abs=0.02)


def test_worlds_of_one_seed_differ_in_the_genes_of_the_pathways_alone(data: Dataset) -> None:
    scattered = drug_simulated.load(seed=2, follows="none")
    assert scattered.graph is not None
    assert data.graph is not None
    assert torch.equal(scattered.graph.edges, data.graph.edges)
    assert torch.equal(scattered.train.x, data.train.x)
    assert set(module(true_genes(data))) == set(range(drug_simulated.PATHWAYS))
    assert len(set(module(true_genes(scattered)))) > 8
    assert len(true_genes(scattered)) == len(true_genes(data)) == drug_simulated.PATHWAYS * drug_simulated.SIZE


def test_neighbours_matter_alike_only_where_the_truth_follows_the_graph() -> None:
    def alike(follows: Follows) -> float:
        data = drug_simulated.load(seed=4, follows=follows)
        assert data.graph is not None
        assert data.truth is not None
        one, other = data.truth[data.graph.edges]
        return float((one & other).sum() / (one | other).sum())  # share of the edges of true genes

    assert alike("graph") > 0.8
    assert alike("none") < 0.4


@pytest.mark.parametrize("follows", FOLLOWS)
def test_a_drug_follows_its_pathway_better_than_any_one_gene(follows: Follows) -> None:
    screen = drug_simulated.world(5, follows)
    for number, (drug, genes) in enumerate(screen.targets.items()):
        rows = screen.drug == number
        assert screen.drugs[number] == drug
        assert rows.sum() > 150
        expression = screen.expression[list(genes)].to_numpy()[screen.line[rows]]
        response = screen.ln_ic50[rows]
        together = np.corrcoef(expression.sum(1), response)[0, 1]
        alone = [abs(np.corrcoef(gene, response)[0, 1]) for gene in expression.T]
        assert together < -0.5
        assert -together > max(alone)


def test_a_world_that_is_neither_is_refused() -> None:
    with pytest.raises(ValueError, match="drug_simulated: follows is 'half': expected one of graph, none"):
        drug_simulated.load(seed=0, follows="half")  # type: ignore[arg-type]


def test_its_configuration_loads_it(data: Dataset, configured: Callable[..., Dataset]) -> None:
    loaded = configured("drug_simulated", follows="none", graph="rewired")
    assert loaded.name == "drug_simulated"
    assert loaded.own_graph is not None
    assert [len(np.unique(part.unit)) for part in loaded.parts.values()] == [100, 30, 70]
    assert loaded.train.x.max() == data.train.x.max()
