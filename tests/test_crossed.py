"""Choosing strengths on validation, and what is said of what was chosen."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from attrpriors.table.beside import collect as beside
from attrpriors.table.crossed import DRAWS, draws, influence
from attrpriors.table.family import family
from attrpriors.table.grid import authors, manifests, pages, partly, wide
from attrpriors.table.runs import Runs
from attrpriors.table.selection import BEST, ONE, chosen, differences, summary


def models(seeds: int = 10) -> pd.DataFrame:
    """A sparse prior whose strength 1 is the best on average and 2 for odd seeds; one model a seed without a prior."""
    rows = []
    for seed in range(seeds):
        for comparator, strength, validation in (
            ("none", 0.0, 0.7),
            ("gini_eg", 1.0, 0.8),
            ("gini_eg", 2.0, 0.79 + 0.02 * (seed % 2) - 0.05 * (seed == 0)),
        ):
            area = validation - 0.1 - 0.001 * seed - 0.3 * (comparator == "none" and seed == 9)
            facts = {"validation_roc_auc": validation, "roc_auc": area, "gini": 0.4 + strength / 10}
            where = {"place": "made up", "setting": "", "member": -1}
            rows.append({**where, "comparator": comparator, "strength": strength, "seed": seed, **facts})
    return pd.DataFrame(rows)


def selected(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([part.assign(selection=name) for name, part in chosen(table)], ignore_index=True)


def test_the_paper_chooses_for_each_replicate() -> None:
    part = selected(models()).query("selection == @BEST and comparator == 'gini_eg'").sort_values("seed")
    assert part["strength"].tolist() == [1, 2] * 5
    assert len(selected(models()).query("selection == @BEST")) == 20


def test_one_strength_is_chosen_on_a_fifth_of_the_replicates_and_reported_on_the_others() -> None:
    part = selected(models()).query("selection == @ONE and comparator == 'gini_eg'")
    assert sorted(part["seed"]) == list(range(2, 10))  # seeds 0 and 1 choose: 0.8 against (0.74 + 0.81) / 2
    assert set(part["strength"]) == {1.0}
    assert set(selected(models(4))["selection"]) == {BEST}  # nobody would be left to choose on


def test_a_tie_goes_to_the_weaker_strength() -> None:
    tied = models().assign(validation_roc_auc=0.5)
    assert set(selected(tied).query("comparator == 'gini_eg'")["strength"]) == {1.0}


def test_the_summary_is_means_standard_errors_medians_and_collapses() -> None:
    part = selected(models())
    table = summary(part).query("selection == @BEST").set_index(["comparator", "metric"])
    values = part.query("selection == @BEST and comparator == 'none'")["roc_auc"]
    row = table.loc[("none", "roc_auc")]
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sem"] == pytest.approx(values.std() / 10**0.5)
    assert (row["n"], row["strength"], row["collapsed"]) == (10, 0.0, 9)  # 0.6 - 0.001 seed, of seed 0 not below 0.6
    assert table.loc[("gini_eg", "roc_auc"), "collapsed"] == 0
    assert table.loc[("gini_eg", "gini"), "strength"] == 1.5


def test_differences_are_paired_by_seed() -> None:
    part = selected(models())
    table = differences(part).query("selection == @BEST and metric == 'roc_auc' and against == 'none'")
    one, other = (
        part.query("selection == @BEST and comparator == @name").sort_values("seed") for name in ("gini_eg", "none")
    )
    expected = stats.ttest_rel(one["roc_auc"], other["roc_auc"])
    (row,) = table.itertuples()
    assert row.comparator == "gini_eg"
    assert (row.t, row.p, row.p_holm) == pytest.approx((expected.statistic, expected.pvalue, expected.pvalue))
    assert np.isnan(row.low)  # no test scores in the folder
    titles = [page.title for page in pages(summary(part), differences(part), family(part))]
    assert titles == [f"made up: {name}" for way in (BEST, ONE) for name in (way, f"{way}, differences")]


def test_rows_become_a_line_a_model_whose_strength_is_of_the_penalty_or_of_dropout() -> None:
    rows = pd.DataFrame(
        {
            "place": "made up",
            "comparator": ["gini_eg", "gini_eg", "dropout", "dropout"],
            "strength": [0.3, 0.3, 0.5, 0.5],
            "seed": 0,
            "setting": "a",
            "member": 0,
            "metric": ["roc_auc", "gini"] * 2,
            "value": [0.8, 0.5, 0.7, 0.4],
        }
    )
    table = wide(rows).set_index("comparator")
    assert table.loc["dropout", ["strength", "roc_auc", "gini"]].tolist() == [0.5, 0.7, 0.4]
    assert len(table) == 2


# The crossed bootstrap


def people(seed: int, count: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of everybody, their ranks among the tested (most of them), outcomes."""
    draw = np.random.default_rng(seed)
    outcome = (np.arange(count) % 4 == 0).astype(np.uint8)
    score = np.round(draw.normal(size=count) + 0.8 * outcome, 1)  # with ties
    rank = np.unique(score, return_inverse=True)[1] + 1
    rank[draw.permutation(count)[:100]] = 0
    return score, rank, outcome


def test_influences_are_what_a_person_counted_twice_adds() -> None:
    score, rank, outcome = people(0, count=400)
    added = influence(rank, outcome)
    tested = rank > 0
    plain = roc_auc_score(outcome[tested], score[tested])
    assert (added[~tested] == 0).all()
    assert added.sum() == pytest.approx(0, abs=1e-12)
    for person in np.flatnonzero(tested)[:20]:
        weight = 1 + 1e-4 * (np.arange(len(rank)) == person)
        more = roc_auc_score(outcome[tested], score[tested], sample_weight=weight[tested])
        assert (more - plain) / 1e-4 == pytest.approx(added[person], rel=1e-2, abs=1e-8)


def test_redrawn_areas_scatter_as_exact_ones_do() -> None:
    found = [people(seed) for seed in range(4)]
    areas = np.array([roc_auc_score(y[r > 0], s[r > 0]) for s, r, y in found])
    added = np.stack([influence(r, y) for _, r, y in found])
    ours = draws({"one": areas}, {"one": added}, np.ones(4, dtype=bool))["one"]
    draw = np.random.default_rng(1)
    exact = []
    for _ in range(200):
        weight = np.bincount(draw.integers(3000, size=3000), minlength=3000)
        chosen_seeds = draw.integers(4, size=4)
        one = [found[i] for i in chosen_seeds]
        exact.append(np.mean([roc_auc_score(y[r > 0], s[r > 0], sample_weight=weight[r > 0]) for s, r, y in one]))
    assert len(ours) == DRAWS
    assert ours.mean() == pytest.approx(np.mean(exact), abs=2e-3)
    assert ours.std() == pytest.approx(np.std(exact), rel=0.2)


def test_methods_are_redrawn_alike_so_that_what_they_share_drops_out() -> None:
    found = [people(seed) for seed in range(3)]
    areas, added = np.full(3, 0.7), np.stack([influence(r, y) for _, r, y in found])
    both = draws({"a": areas, "b": areas + 0.1}, {"a": added, "b": added}, np.ones(3, dtype=bool))
    np.testing.assert_allclose(both["b"] - both["a"], 0.1, atol=1e-6)


def test_replicates_whose_test_scores_are_gone_count_with_their_areas() -> None:
    areas = np.linspace(0.7, 0.8, 20)
    added = np.stack([influence(*people(0)[1:])] * 20)  # every replicate ranks people alike: a few tell all of it
    whole = draws({"one": areas}, {"one": added}, np.ones(20, dtype=bool))["one"]
    hand = np.arange(20) % 2 == 1
    np.testing.assert_allclose(draws({"one": areas}, {"one": added[hand]}, hand)["one"], whole, atol=1e-9)


def test_intervals_outlive_the_folders_of_some_replicates(tmp_path: Path) -> None:
    table, drawn = selected(models()).query("selection == @BEST"), np.random.default_rng(0)
    table = table.assign(setting=table["comparator"] + table["seed"].astype(str), member=0)
    table["roc_auc"] += 0.001 * drawn.normal(size=len(table))  # else every difference is the same
    for seed in (1, 3, 5, 8):
        for name in ("none", "gini_eg"):
            _, rank, outcome = people(seed)
            folder = tmp_path / f"{name}{seed}"
            folder.mkdir()
            np.savez(folder / "arrays.npz", rank=rank[None], outcome=outcome[None])
    (row,) = differences(table, tmp_path).query("metric == 'roc_auc' and against == 'none'").itertuples()
    assert (row.n, row.scored) == (10, 4)
    assert row.low < row.difference < row.high
    compared = differences(table, tmp_path)
    assert "at least 4 of 10" in partly(compared)
    (tmp_path / "none1" / "arrays.npz").unlink()
    assert set(differences(table, tmp_path).query("metric == 'roc_auc'")["scored"]) == {3}
    for seed in (3, 5):
        (tmp_path / f"gini_eg{seed}" / "arrays.npz").unlink()
    gone = differences(table, tmp_path).query("metric == 'roc_auc'")
    assert gone["low"].isna().all()  # a single replicate tells nothing
    assert partly(gone) == ""
    compared.to_csv(tmp_path / "comparison.csv", index=False, na_rep="nan")
    pd.testing.assert_frame_equal(differences(table, tmp_path), compared)  # those of the tables before
    other = differences(table.assign(roc_auc=table["roc_auc"].where(table.index > 0, 0.5)), tmp_path)
    assert other.query("metric == 'roc_auc'")["low"].isna().all()


def test_published_numbers_stand_beside_the_measured_ones(tmp_path: Path) -> None:
    table = models().assign(data="made up", source="real", weight=lambda part: part["strength"])
    labels = ["data", "source", "comparator", "weight", "seed"]
    table.melt(labels, ["validation_roc_auc", "roc_auc", "gini"], "metric").to_csv(
        tmp_path / "rows.csv.gz", index=False
    )
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("# source\ncomparator,metric,published,t\nnone,roc_auc,0.707,22.2\ngini_eg,roc_auc,0.782,\n")
    text = beside(tmp_path, str(numbers))
    gaps = differences(selected(models())).query("selection == @BEST and against == 'gini_eg' and metric == 'roc_auc'")
    assert -gaps["t"].iloc[0] > 0
    assert f"{-gaps['t'].iloc[0]:.1f} / 22.2" in text
    assert "/ 0.782" in text
    assert "– / –" in text


def test_places_come_in_the_order_of_their_numbers() -> None:
    sized = pd.concat([models(5).assign(place=f"nhanes (real), train {count}") for count in (1000, 200, 50)])
    rows = sized.melt(["place", "comparator", "strength", "seed", "setting", "member"], var_name="metric")
    assert wide(rows)["place"].str.split().str[-1].unique().tolist() == ["50", "200", "1000"]
    part = selected(wide(rows))
    told = [page.place.split()[-1] for page in pages(summary(part), differences(part), family(part))]
    assert list(dict.fromkeys(told)) == ["50", "200", "1000"]


def test_parts_of_a_grid_differ_in_their_seeds_alone(tmp_path: Path) -> None:
    def part(seeds: str, epochs: int) -> dict[str, Any]:
        labels, config = {"comparator": "gini_eg", "seed": seeds}, {"seed": seeds, "epochs": epochs}
        told = {"setting": f"seed={seeds}", "labels": labels, "config": config, "replicate": str(epochs)}
        return told | {"members": [{"seed": 0}, {"seed": 1}]}

    (tmp_path / "manifests.jsonl").write_text(json.dumps(part("0..3", 100)))  # the folder of the run is gone
    runs = Runs(tmp_path, [], pd.DataFrame(), pd.DataFrame(), [part("4..7", 100)])
    assert [one["setting"] for one in manifests(runs)] == ["seed=0..3", "seed=4..7"]
    with pytest.raises(ValueError, match=r"seed=0\.\.3 and seed=4\.\.7 .* epochs is 100 there and 200 here"):
        manifests(replace(runs, manifests=[part("4..7", 200)]))
    again = part("0..3", 200)
    assert manifests(replace(runs, manifests=[again])) == [again | {"members": 2}]  # in the place of the earlier one


def test_what_the_authors_loop_would_need_is_said_where_a_benchmark_stands_by(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "quick" / "health"
    folder.mkdir(parents=True)
    paper = {"model": {"hidden": [512, 128, 32]}, "data": {"train": 100}}
    records = [{"config": paper, "members": [{}] * 3600}, {"config": paper, "members": [{}] * 3600}]
    other = [{"config": {**paper, **part}, "members": []} for part in ({"data": {"train": 50}}, {"model": {}})]
    assert authors(folder, records) == ""
    (tmp_path / "results" / "bench").mkdir()
    path = tmp_path / "results" / "bench" / "ensemble.csv"
    path.write_text('case,models_per_second\nensemble,9\n"serial, authors, default matmul",0.5\n')
    assert "0.50 such networks a second" in authors(folder, [*records, *other])
    assert "4.0 hours for the 7,200" in authors(folder, [*records, *other])
    assert authors(folder, other) == ""
    path.write_text("case,models_per_second\nensemble,9\n")
    assert authors(folder, records) == ""
