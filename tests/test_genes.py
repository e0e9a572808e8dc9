"""Pictures of genes show the drugs, genes and neighbours that matter, with and without the prior."""

from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import tiny
from omegaconf import DictConfig

from attrpriors import figure
from attrpriors.data import Provenance
from attrpriors.figure import canvas
from attrpriors.figure.canvas import Place
from attrpriors.figure.genes import NODES, TOP, around, compared, draw, layout
from attrpriors.record import Outcome
from attrpriors.table import summarise
from attrpriors.table.runs import Runs, read

OWN = Path("results/own")
GENES = [f"gene{i}" for i in range(30)]
EDGES = np.array([[2, 2, 3, 10], [3, 4, 5, 11]])  # places among two drugs, then the genes


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(canvas.STYLE, "savefig.dpi", 50)
    monkeypatch.setattr(canvas, "METADATA", {"png": {}})  # a format is enough


def importance(gain: float) -> np.ndarray:
    """Of two drugs and 30 genes, the first genes most; with the prior half as much."""
    return np.concatenate([np.zeros(2), np.arange(30, 0, -1) / (2 if gain else 1)])


def task(cfg: DictConfig) -> Outcome:
    values = importance(cfg.prior.gain)
    arrays = {
        "features": np.array(["drug=one", "drug=two", *GENES]),
        "importance": values + cfg.seed,
        "edges": EDGES,
        "drugs": np.array(["one", "two"]),
        "drug_importance": np.stack([values[2:], values[:1:-1]]),
        "targets": np.eye(2, 30, dtype=bool),
    }
    rows = [("r2", 0.5), ("target_rank/pair=two gene7", 3.0)]
    return Outcome(rows, pd.DataFrame(), arrays, Provenance("rows"), 1)


def place(*priors: str) -> Place:
    for prior in priors:
        for seed in range(2):
            tiny.run("data=drugs", f"prior={prior}", f"seed={seed}", task=task, mode="MULTIRUN")
    runs = read(OWN)
    return Place(OWN, "made up", runs.rows, summarise(runs))


def test_bars_are_the_genes_of_the_drugs_whose_pair_was_told_and_bold_are_their_targets() -> None:
    picture = figure.genes(place("none", "graph"))
    assert picture is not None
    (axis,) = picture.axes
    assert axis.get_title() == "two"
    labels = axis.get_yticklabels()
    assert [label.get_text() for label in labels] == GENES[:-9:-1]
    assert [label.get_fontweight() for label in labels] == ["normal"] * 8
    assert [bar.get_width() for bar in axis.patches] == [*range(30, 22, -1), *np.arange(30, 22, -1) / 2]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["none", "graph"]


def test_targets_are_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    here = place("none", "graph")
    here.rows["metric"] = "r2"  # no pair: the first drugs
    picture = figure.genes(here)
    assert picture is not None
    assert [axis.get_title() for axis in picture.axes] == ["one", "two"]
    weights = [label.get_fontweight() for label in picture.axes[0].get_yticklabels()]
    assert weights == ["bold"] + ["normal"] * 7


def test_the_network_has_one_scale_and_a_panel_a_method() -> None:
    picture = figure.network(place("none", "graph"))
    assert picture is not None
    one, other, bar = picture.axes
    assert (one.get_title(), other.get_title()) == ("none", "graph")
    named = {text.get_text() for text in one.texts}
    assert named == {"gene0", "gene1", "gene2", "gene3", "gene8", "gene9"}  # the others have no neighbour
    before, after = (next(part for part in axis.collections if part.get_array() is not None) for axis in (one, other))
    np.testing.assert_allclose(np.sort(before.get_array()), np.sort(importance(0)[np.unique(EDGES)] + 0.5))
    assert before.get_clim() == after.get_clim() == (0, 30.5)
    np.testing.assert_allclose(before.get_offsets(), after.get_offsets())
    assert bar.get_ylabel() == "mean |attribution|"


def test_a_folder_of_comparators_has_both_pictures() -> None:
    here = place("none", "graph")
    here.rows["comparator"] = "drug/" + here.rows["prior"]
    (OWN / "figures").mkdir(exist_ok=True)
    draw(Runs(OWN, [], here.rows, here.rows.iloc[:0], []))
    assert {"genes_1.png", "network_1.png"} <= {path.name for path in (OWN / "figures").iterdir()}


def test_neighbours_of_the_top_genes_are_there_up_to_a_number() -> None:
    hub = nx.star_graph(100)
    values = np.concatenate([[9.0], np.linspace(0, 1, 100)])[None]
    part = around(hub, values)
    assert len(part) == NODES
    assert set(part) == {0, *range(100, 101 - NODES, -1)}
    assert sum(top for _, top in part.nodes(data="top")) == TOP


def test_parts_of_the_network_are_drawn_side_by_side() -> None:
    parts = nx.disjoint_union_all([nx.path_graph(9), nx.complete_graph(4), nx.empty_graph(2)])
    places = layout(parts)
    assert set(places) == set(parts)
    boxes = [np.stack([places[node] for node in nodes]) for nodes in nx.connected_components(parts)]
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            apart = np.maximum(box.min(0) - other.max(0), other.min(0) - box.max(0))
            assert apart.max() > 0.5
    assert all(np.array_equal(places[node], layout(parts)[node]) for node in parts)


def test_without_both_methods_there_is_no_picture() -> None:
    here = place("none", "gini")
    assert compared(here, here.arrays("importance")) == []
    assert figure.genes(here) is None
    assert figure.network(here) is None


def test_a_random_network_is_not_the_one_that_is_shown() -> None:
    here = place("none", "graph")
    here.rows["contrast"] = np.where(here.rows["prior"] == "graph", "rewired", "none")
    assert compared(here, here.arrays("importance")) == []
    here.rows["contrast"] = np.where(here.rows["prior"] == "graph", "own", "none")
    assert compared(here, here.arrays("importance")) == ["none", "graph"]
