"""Whether a drug's targets are ranked high in its own rows, and whether gene sets are enriched."""

import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rows import made_up
from sklearn.metrics import roc_auc_score
from test_conf import composed
from torch import Tensor, nn

from attrpriors.build import build
from attrpriors.data import Dataset, Graph
from attrpriors.evaluate.enrichment import enriched, gmt, prerank
from attrpriors.evaluate.targets import Targets, crossed
from attrpriors.model import linear

DRUGS, GENES = ("a", "b", "c"), tuple(f"gene{i}" for i in range(8))
TARGETS = {"a": ("gene0",), "b": ("gene1", "gene2"), "c": ("gene7",)}
PLANTED = np.eye(3, 8)  # the importance of each gene in the rows of each drug
PLANTED[1], PLANTED[2, 2], PLANTED[2, 7] = [0, 2, 3, 1, 0, 0, 0, 0], 0, 4


class Planted:
    """An attribution whose size in a row is that of its drug in `table` (D, G)."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = torch.tensor(table, dtype=torch.float32)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        sign = torch.where(torch.arange(len(x)) % 2 == 0, 1.0, -1.0)[:, None]
        return torch.cat([torch.zeros(len(x), 3), sign * self.table[x[:, :3].argmax(1)]], 1)


@pytest.fixture(scope="module")
def screen() -> Dataset:
    """90 pairs of a drug and a line of eight genes, on a path of them."""
    draws = torch.Generator().manual_seed(0)
    drug, genes = torch.arange(90) % 3, torch.randn(90, 8, generator=draws)
    return made_up(
        *("screen", "regression", torch.cat([2 * torch.eye(3)[drug], genes], 1), genes[:, 0], (30, 15, 45)),
        offset=torch.zeros(90),
        features=(*(f"drug={drug}" for drug in DRUGS), *GENES),
        groups={"drug": (0, 1, 2), "gene": tuple(range(3, 11))},
        graph=Graph(torch.stack([torch.arange(3, 10), torch.arange(4, 11)]), torch.ones(7)),
        targets=TARGETS,
        gene_sets={"ends": ("gene0", "gene7")},
    )


def measured(
    data: Dataset, table: np.ndarray = PLANTED, pairs: tuple[tuple[str, str], ...] = (), **settings: object
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    given = {"per_drug": 4, "permutations": 600, "gene_sets": None} | settings
    generator = torch.Generator().manual_seed(1)
    evaluate = Targets(noise={}, explained=9, generator=generator, pairs=pairs, **given)  # type: ignore[arg-type]
    rows, arrays = evaluate(linear(data), data, Planted(table))  # type: ignore[arg-type]
    return dict(rows), arrays


def test_the_area_of_every_ranking_for_every_set_of_targets_is_the_one_of_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    importance, aims = draws.integers(0, 5, (6, 30)).astype(float), draws.random((6, 30)) < 0.2
    found = crossed(importance, aims)
    for i, j in np.ndindex(6, 6):
        assert found[i, j] == pytest.approx(roc_auc_score(aims[j], importance[i]))


def test_targets_on_top_have_an_area_of_one_and_those_of_other_drugs_less(screen: Dataset) -> None:
    rows, arrays = measured(screen)
    assert rows["target_auc"] == 1
    assert rows["target_drugs"] == 3
    np.testing.assert_allclose(arrays["drug_importance"], PLANTED)
    assert arrays["targets"].tolist() == [[gene in TARGETS[drug] for gene in GENES] for drug in DRUGS]
    areas = crossed(PLANTED, arrays["targets"])
    every = [np.mean([areas[i, order[i]] for i in range(3)]) for order in permutations(range(3))]
    assert rows["target_auc_null"] == pytest.approx(np.mean(every), abs=0.02)
    assert rows["target_auc_p"] == pytest.approx(1 / 6, abs=0.05)  # no swap in one of six


def test_genes_that_matter_to_every_drug_alike_are_no_evidence(screen: Dataset) -> None:
    alike = np.tile([1.0, 1, 1, 0, 0, 0, 0, 1], (3, 1))  # the targets of any drug
    rows, _ = measured(screen, alike)
    assert rows["target_auc"] > 0.7
    assert rows["target_auc"] == pytest.approx(rows["target_auc_null"])
    assert rows["target_auc_p"] == 1


def test_a_network_that_looks_elsewhere_has_an_area_of_a_half(screen: Dataset) -> None:
    rows, _ = measured(screen, np.ones((3, 8)))
    assert rows["target_auc"] == 0.5


def test_a_pair_is_told_by_the_place_of_its_gene_among_all(screen: Dataset) -> None:
    rows, _ = measured(screen, pairs=(("b", "gene2"), ("b", "gene3"), ("c", "gene7")))
    ranks = {metric: value for metric, value in rows.items() if metric.startswith("target_rank")}
    expected = {"b gene2": 1.0, "b gene3": 3.0, "c gene7": 1.0}
    assert ranks == {f"target_rank/pair={pair}": rank for pair, rank in expected.items()}


def test_the_known_pairs_of_gdsc_are_told_by_its_configuration(screen: Dataset) -> None:
    cfg = composed("data=gdsc", "evaluate=targets_gdsc", "evaluate.permutations=9").evaluate
    named = {
        "a": "Dabrafenib",
        "b": "Trametinib",
        "c": "Alpelisib",
        "gene0": "BRAF",
        "gene2": "KRAS",
        "gene7": "PIK3CA",
    }
    known = dict(zip(screen.features, screen.features, strict=True))
    known |= {
        f"drug={old}" if len(old) == 1 else old: f"drug={new}" if len(old) == 1 else new for old, new in named.items()
    }
    data = replace(screen, features=tuple(known.values()), targets={"Dabrafenib": ("BRAF",), "Trametinib": ("gene1",)})
    with pytest.raises(ValueError, match="does not have both the drug Venetoclax and the gene BCL2"):
        build(cfg, generator=torch.Generator())(linear(data), data, Planted(PLANTED))
    cfg.pairs = list(cfg.pairs)[:3]
    rows, _ = build(cfg, generator=torch.Generator())(linear(data), data, Planted(PLANTED))
    ranks = {metric.partition("=")[2]: value for metric, value in rows if metric.startswith("target_rank")}
    assert ranks == {"Dabrafenib BRAF": 1, "Trametinib KRAS": 1, "Alpelisib PIK3CA": 1}


def test_a_drug_without_a_known_target_is_explained_for_its_pair_alone(screen: Dataset) -> None:
    rows, arrays = measured(replace(screen, targets={"a": ("gene0",)}), pairs=(("c", "gene7"),))
    assert rows["target_drugs"] == 1
    assert list(arrays["drugs"]) == ["a", "c"]
    assert rows["target_rank/pair=c gene7"] == 1


def test_everything_else_is_measured_as_ever(screen: Dataset) -> None:
    rows, arrays = measured(screen)
    assert {"validation_r2", "r2_within_drug", "gini", "graph_variation", "completeness_error"} <= set(rows)
    assert {"features", "importance"} <= set(arrays)
    assert arrays["edges"].shape == (2, 7)


def test_what_the_data_set_does_not_know_is_refused(screen: Dataset, binary: Dataset) -> None:
    with pytest.raises(ValueError, match="needs a data set that knows the targets of drugs; binary does not"):
        measured(binary)
    with pytest.raises(ValueError, match="screen does not have both the drug a and the gene BRAF"):
        measured(screen, pairs=(("a", "BRAF"),))


def test_a_gmt_file_is_sets_of_genes(tmp_path: Path) -> None:
    path = tmp_path / "sets.gmt"
    path.write_text("ONE\tabout\tA\tB\tA\t\nTWO\t\tC\t\tD\n")
    assert gmt(str(path)) == {"ONE": ("A", "B"), "TWO": ("C", "D")}
    path.write_text("ONE\tabout\tA\nTWO C D\n")
    with pytest.raises(ValueError, match=r"sets.gmt, line 2: expected a name, a description and genes between tabs"):
        gmt(str(path))
    with pytest.raises(ValueError, match="is data or a GMT file; found 'pathways', which is no file"):
        gmt("pathways")


def test_without_gseapy_one_sentence_says_what_to_install(screen: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gseapy", None)
    with pytest.raises(ValueError, match=r"evaluate.gene_sets needs the package gseapy: pip install gseapy"):
        measured(screen, gene_sets="data")


def test_sets_of_none_of_the_genes_are_refused() -> None:
    with pytest.raises(ValueError, match="none of the 1 gene sets has 2 to 500 of the genes of the data set"):
        prerank(
            pd.Series([1.0, 2.0], ["A", "B"]),
            {
                "other": ("X", "Y"),
            },
        )


def test_a_set_of_the_most_important_genes_is_enriched_and_one_of_the_least_is_not(
    screen: Dataset, tmp_path: Path
) -> None:
    pytest.importorskip("gseapy")
    names = np.array([f"G{i}" for i in range(200)])
    importance = np.sort(np.random.default_rng(0).gamma(1, size=200))[::-1]
    path = tmp_path / "sets.gmt"
    sets = {"TOP": names[:12], "MIXED": names[3::17], "BOTTOM": names[-12:], "ELSEWHERE": ["X", "Y", "Z"]}
    path.write_text("".join("\t".join([name, "about", *genes]) + "\n" for name, genes in sets.items()))
    rows, arrays = enriched(importance, names, str(path), screen)
    assert dict(rows) == {"gene_sets_enriched": 1, "gene_sets_tested": 3}
    assert arrays["gene_set"][0] == "TOP"
    assert arrays["fdr"][0] < 0.05
    assert (arrays["nes"][0] > 1.5) & (arrays["nes"][-1] < 0)
    again, _ = enriched(importance, names, str(path), screen)
    assert again == rows


def test_gene_sets_are_tested_where_no_target_is_known(screen: Dataset) -> None:
    pytest.importorskip("gseapy")
    rows, arrays = measured(replace(screen, targets={}), gene_sets="data")
    assert rows["gene_sets_tested"] == 1
    assert "target_auc" not in rows
    assert "drugs" not in arrays


def test_the_sets_of_the_data_set_are_tested_by_name(screen: Dataset) -> None:
    pytest.importorskip("gseapy")
    rows, arrays = measured(screen, gene_sets="data")
    assert rows["gene_sets_tested"] == 1
    assert list(arrays["gene_set"]) == ["ends"]
