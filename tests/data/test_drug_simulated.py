from collections.abc import Callable

import numpy as np
import pytest
import torch

from attrpriors.data import Dataset, drug_simulated


@pytest.fixture(scope="module")
def data() -> Dataset:
    return drug_simulated.load(seed=2)


def module(gene: int) -> int:
    return gene // drug_simulated.SIZE


def test_the_screen_has_its_declared_size(data: Dataset) -> None:
    assert data.shape == (220,)
    assert [len(np.unique(part.unit)) for part in data.parts.values()] == [210, 30, 60]
    assert sum(map(len, data.parts.values())) == pytest.approx(0.9 * 300 * 20, rel=0.03)
    assert data.output == "regression"
    assert data.provenance.stand_in == "simulated"


def test_a_seed_is_a_split_and_the_world_stays_the_same(data: Dataset) -> None:
    again, other = drug_simulated.load(seed=2), drug_simulated.load(seed=3)
    for part in ("train", "val", "test"):
        assert torch.equal(data.parts[part].x, again.parts[part].x)
        assert torch.equal(data.parts[part].y, again.parts[part].y)
    assert set(data.test.unit) != set(other.test.unit)
    assert data.graph is not None
    assert other.graph is not None
    assert torch.equal(data.graph.edges, other.graph.edges)


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


def test_genes_of_one_module_are_correlated_more_than_genes_of_two() -> None:
    correlation = np.corrcoef(drug_simulated.world().expression.to_numpy().T)
    gene = np.arange(200)
    same = module(gene)[:, None] == module(gene)
    assert correlation[same & ~np.eye(200, dtype=bool)].mean() > 0.3
    assert 0.05 < correlation[~same].mean() < 0.2


def test_truth_marks_the_modules_that_some_drug_aims_at(data: Dataset) -> None:
    assert data.truth is not None
    genes = torch.nonzero(data.truth).flatten().numpy() - drug_simulated.DRUGS
    assert set(module(genes)) == set(range(drug_simulated.TARGETS))
    assert len(genes) == drug_simulated.TARGETS * drug_simulated.SIZE


def test_a_drug_follows_its_target_module_better_than_any_one_gene() -> None:
    screen = drug_simulated.world()
    expression = screen.expression.to_numpy()
    for drug in range(drug_simulated.DRUGS):
        rows = screen.drug == drug
        target = drug % drug_simulated.TARGETS
        genes = expression[screen.line[rows]][:, module(np.arange(200)) == target]
        response = screen.ln_ic50[rows]
        together = abs(np.corrcoef(genes.mean(1), response)[0, 1])
        alone = [abs(np.corrcoef(gene, response)[0, 1]) for gene in genes.T]
        assert together > np.mean(alone) + 0.1
        assert together > 0.4


def test_its_configuration_loads_it(data: Dataset, configured: Callable[..., Dataset]) -> None:
    loaded = configured("drug_simulated")
    assert loaded.name == "drug_simulated"
    assert [len(np.unique(part.unit)) for part in loaded.parts.values()] == [210, 30, 60]
    assert loaded.train.x.max() == data.train.x.max()
