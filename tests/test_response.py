"""What is measured of drug response, and how it is told."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict
from scipy import stats
from test_conf import CONF, draws, names

from attrpriors.attribution import Gradient
from attrpriors.build import build
from attrpriors.data import Dataset, Split
from attrpriors.evaluate.response import variation, within_drug
from attrpriors.figure import canvas, response
from attrpriors.model import linear, mlp
from attrpriors.prior import AttributionPrior, NoPrior, graph_variation
from attrpriors.table.family import family
from attrpriors.table.grid import along, named, pages, wide
from attrpriors.table.selection import BEFOREHAND, BEST, chosen, differences, summary
from attrpriors.train.alternating import Alternating
from attrpriors.train.trainer import Trainer

# Within drugs


def test_correlations_are_of_each_drug_and_drugs_count_alike() -> None:
    draw = np.random.default_rng(0)
    drug = np.array([0] * 6 + [1] * 4 + [2] * 2 + [3] * 3)
    score, y = draw.normal(size=15), draw.normal(size=15)
    score[12:] = 1.0  # drug 3: the same score for all lines
    x = torch.eye(4)[torch.from_numpy(drug)]
    rows = dict(within_drug(torch.from_numpy(score)[:, None], Split(x, torch.from_numpy(y), drug), 4))
    for name, test in (("correlation", stats.pearsonr), ("spearman", stats.spearmanr)):
        each = [test(score[drug == d], y[drug == d])[0] for d in (0, 1)]  # drug 2 has too few rows
        assert rows[f"{name}_within_drug"] == pytest.approx(sum(each) / 3)


def test_the_watched_variation_is_of_the_own_graph_and_repeats_itself(regression: Dataset) -> None:
    model = linear(regression)
    found = variation(model, regression)
    assert found == variation(model, regression)
    assert regression.graph is not None
    control = replace(regression.graph, edges=torch.tensor([[2, 2], [4, 3]]))
    assert found == variation(model, replace(regression, graph=control, own_graph=regression.graph))
    assert found != variation(model, replace(regression, graph=control))


# Alternating steps


def trained(
    trainer: type[Trainer],
    data: Dataset,
    weight: float,
    penalty: Callable[..., torch.Tensor] = graph_variation,
    decay: float = 0.0,
) -> tuple[torch.Tensor, pd.DataFrame]:
    torch.manual_seed(0)
    model = mlp(data, [6])
    optimizer = partial(torch.optim.AdamW, lr=0.02, weight_decay=decay)
    prior = AttributionPrior(weight, penalty, Gradient(), data)
    history = trainer(epochs=6, batch_size=5, optimizer=optimizer, generator=draws()).fit(model, data, prior)
    return model[1].weight.detach(), history  # type: ignore[index, union-attr, return-value]


def test_alternating_steps_hardly_know_their_weight(regression: Dataset) -> None:
    weak, strong = (trained(Alternating, regression, weight) for weight in (1.0, 100.0))
    joint = [trained(Trainer, regression, weight)[0] for weight in (1.0, 100.0)]
    torch.testing.assert_close(weak[0], strong[0], rtol=0, atol=1e-3)
    assert (joint[0] - joint[1]).abs().max() > 0.05
    assert strong[1]["penalty"].iloc[-1] < strong[1]["penalty"].iloc[0]


def test_alternating_without_a_weight_is_plain_training(regression: Dataset) -> None:
    assert torch.equal(trained(Alternating, regression, 0.0)[0], trained(Trainer, regression, 0.0)[0])


def test_alternating_steps_decay_weights_once(regression: Dataset) -> None:
    flat = lambda phi, data: 0 * phi.sum()  # noqa: E731
    once = trained(Trainer, regression, 0.0, decay=1.0)[0]
    assert torch.equal(trained(Alternating, regression, 1.0, flat, decay=1.0)[0], once)
    assert not torch.equal(trained(Trainer, regression, 0.0)[0], once)


# Comparators


def of_drugs() -> list[str]:
    return [name for name in names("comparator") if name.startswith("drug/")]


def comparator(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", ["experiment=drug_response", f"comparator={name}", *overrides])


@pytest.mark.parametrize("name", of_drugs())
def test_every_comparator_is_trained_and_measured(name: str, regression: Dataset) -> None:
    cfg = comparator(name)
    assert cfg.strength in cfg.strengths
    if "weight" in cfg.prior:
        assert cfg.prior.weight == cfg.strength > 0
    small = {"epochs": 1, "finetune": 1, "hidden": [8], "strengths": [0.5], "rank": 2, "explained": 5, "k": 5}
    with open_dict(cfg):
        for node in (cfg.train, cfg.model, cfg.evaluate, cfg.explain):
            node.update({key: value for key, value in small.items() if node.get(key)})
    torch.manual_seed(0)
    model = build(cfg.model, data=regression)
    attribution = build(cfg.attribution, background=regression.train.x, generator=draws())
    prior = build(cfg.prior, attribution=attribution, data=regression)
    build(cfg.train, generator=draws()).fit(model, regression, prior)
    explain = build(cfg.explain, background=regression.train.x, generator=draws())
    rows, _ = build(cfg.evaluate, generator=draws())(model, regression, explain)
    found = dict(rows)
    assert {*family(found).shown} - {"truth_average_precision"} <= set(found)
    assert np.isfinite(list(found.values())).all()


def test_a_strength_is_one_of_those_to_choose_from() -> None:
    cfg = comparator("drug/graph", "chosen=4")
    assert cfg.prior.weight == cfg.strength == cfg.strengths[4] == 10
    assert comparator("drug/dropout", "chosen=1").model.dropout == 0.2
    assert comparator("drug/none").prior._target_.endswith(NoPrior.__name__)


# Tables


def models(prefix: str = "", strengths: tuple[float, ...] = (1.0,)) -> pd.DataFrame:
    """Five seeds; the graph prior gains 0.02 in R2 and a little more with strength."""
    draw, rows = np.random.default_rng(0), []
    for seed in range(5):
        for name, strength in (("drug/none", 0.0), *(("drug/graph", strength) for strength in strengths)):
            r2 = 0.7 + 0.02 * (strength > 0) + 0.001 * strength + 0.002 * draw.normal()
            values = {"validation_r2": r2 + 0.01, f"{prefix}r2": r2, f"{prefix}r2_within_drug": r2 - 0.5}
            values |= {f"{prefix}graph_variation": 0.01 if strength else 0.1}
            where = {"place": "made up", "setting": "", "member": -1}
            rows.append({**where, "comparator": name, "strength": strength, "seed": seed, **values})
    return pd.DataFrame(rows)


def test_methods_of_one_strength_are_compared_as_they_are_with_t_intervals() -> None:
    ((selection, part),) = chosen(models())
    assert selection == BEFOREHAND
    part = part.assign(selection=selection)
    table = differences(part).query("metric == 'r2' and against == 'drug/none'")
    one, other = (part[part["comparator"] == name].sort_values("seed")["r2"] for name in ("drug/graph", "drug/none"))
    expected = stats.ttest_rel(one.to_numpy(), other.to_numpy())
    (row,) = table.itertuples()
    assert (row.t, row.p_holm) == pytest.approx((expected.statistic, expected.pvalue))
    assert (row.low, row.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    scores, gaps = pages(summary(part), differences(part), family(part))
    assert list(scores.cells["comparator"]) == ["drug/graph", "drug/none"]
    assert f"{one.mean():.4f} ± {one.sem():.4f}" in scores.cells["r2 ↑"].iloc[0]
    assert f"[{row.low:+.4f}, {row.high:+.4f}]" in gaps.cells["r2 – drug/none"].iloc[0]


def test_strengths_that_are_still_to_be_chosen_are_told_without_a_look_at_the_test() -> None:
    grid = models("validation_", (1.0, 5.0))
    known = family(grid)
    assert known.score == "validation_r2"
    (page,) = along(grid, known)
    assert page.cells["comparator"].tolist() == ["drug/graph"]
    assert page.cells["best"].tolist() == ["5"]
    (selection, part), _ = chosen(grid)
    assert selection == BEST
    assert set(part[part["comparator"] == "drug/graph"]["strength"]) == {5.0}


def test_runs_of_one_comparator_that_differ_in_a_setting_bear_it_in_their_name() -> None:
    rows = pd.DataFrame({"comparator": ["a", "a", "b"], "train.optimizer.lr": [0.1, 0.01, 0.1], "model.rank": "8"})
    assert named(rows).tolist() == ["a, lr 0.1", "a, lr 0.01", "b"]
    assert named(rows.rename(columns={"train.optimizer.lr": "model.dropout"})).tolist() == ["a", "a", "b"]
    earlier = pd.DataFrame({"comparator": ["a", "b"], "model.rank": "8"})  # of a part that was given none by hand
    both = pd.concat([rows.assign(train="sgd"), earlier], ignore_index=True)
    assert named(both).tolist() == ["a, lr 0.1, train sgd", "a, lr 0.01, train sgd", "b, lr 0.1, train sgd", "a", "b"]


def test_a_comparator_s_strength_is_a_label_of_its_rows() -> None:
    rows = models().melt(["place", "comparator", "strength", "seed", "setting", "member"], var_name="metric")
    assert set(wide(rows)["strength"]) == {0.0, 1.0}


def test_initialisations_of_one_split_are_one_replicate() -> None:
    rows = models().melt(["place", "comparator", "strength", "seed", "setting", "member"], var_name="metric")
    again = rows.assign(setting="again", value=rows["value"] + 0.5, initialisation=1)
    one, both = wide(rows), wide(pd.concat([rows.assign(initialisation=0), again]))
    assert set(both["setting"]) == {""}
    pd.testing.assert_series_equal(both["r2"], one["r2"] + 0.25)


def test_biology_has_a_table_of_its_own() -> None:
    measured = {"target_auc": 0.6, "target_auc_p": 0.2, "target_rank/pair=A B": 4}
    ((selection, part),) = chosen(models().assign(**measured))
    part = part.assign(selection=selection)
    scores, biology, _ = pages(summary(part), differences(part), family(part))
    assert list(biology.cells)[1:4] == ["target_auc ↑", "target_auc_p ↓", "target_rank/pair=A B ↓"]
    assert biology.cells["target_rank/pair=A B ↓"].tolist() == ["4.0000 ± 0.0000"] * 2
    assert not any(column.startswith("target") for column in scores.cells)


def test_intervals_of_a_picture_are_geometric_where_its_axis_is_logarithmic() -> None:
    values = pd.DataFrame({"a": [1.0, 100.0], "b": [0.0, 0.0]})
    found = response.limits(values, logarithm=True).loc["a"]
    assert found["mean"] == pytest.approx(10)
    assert found["high"] / found["mean"] == pytest.approx(np.exp(stats.t.ppf(0.975, 1) * np.log(100) / 2))
    assert response.limits(values, logarithm=True).loc["b"].isna().all()
    assert response.limits(values.iloc[:1], logarithm=False).loc["a"].tolist() == [1, 1, 1]


def test_pictures_are_of_scores_strengths_and_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "METADATA", {"png": {}})  # figures take most of the time
    monkeypatch.setitem(canvas.STYLE, "savefig.dpi", 50)
    part = models().assign(setting=lambda table: table["comparator"].str[5:] + table["seed"].astype(str))
    (tmp_path / "figures").mkdir()
    for setting in part["setting"]:
        (tmp_path / setting).mkdir()
        epochs = {
            "epoch": [1, 2],
            "phase": ["plain", "prior"],
            "validation_r2": [0.6, 0.7],
            "graph_variation": [1, 0.1],
        }
        pd.DataFrame(epochs).to_csv(tmp_path / setting / "history.csv", index=False)
    response.draw(tmp_path, models(strengths=(1.0, 5.0)), part)
    pictures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert pictures == {"responses_1", "tuning_1", "finetuning_1"}
