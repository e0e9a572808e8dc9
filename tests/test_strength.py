"""The strength of an image prior: by the paper's rule, on validation rows."""

import pandas as pd
import pytest
import yaml
from command import CONF, ROOT
from hydra import compose, initialize_config_dir

from attrpriors.table import strength_tables
from attrpriors.table.strength import strengths

PLACE = {"data": "digits", "source": "real", "model": "cnn"}


def table(rows: list[tuple[str, float, float]], metric: str = "validation_accuracy") -> pd.DataFrame:
    """(prior, weight, mean) as rows of a summary."""
    return pd.DataFrame(rows, columns=["prior", "weight", "mean"]).assign(metric=metric, **PLACE)


ROWS = [
    *(("none", 0, 0.990), ("smooth", 0.1, 0.9801), ("smooth", 1.0, 0.985), ("smooth", 10.0, 0.97)),
    *(("flat", 0.1, 0.995), ("flat", 2.0, 0.981), ("flat", 30.0, 0.99)),
]


def test_the_strongest_weight_within_a_point_of_the_prior_free_accuracy_is_chosen() -> None:
    found = strengths(table(ROWS))
    assert found[found["chosen"]][["prior", "weight"]].to_numpy().tolist() == [["smooth", 1.0], ["flat", 30.0]]
    assert found["limit"].tolist() == pytest.approx([0.98] * 6)
    (page,) = strength_tables(table(ROWS))
    assert page.place == "digits (real), model cnn"
    assert page.cells["tried"].tolist() == ["0.1, 1, 10", "0.1, 2, 30"]


def test_where_a_prior_costs_more_than_a_point_at_every_weight_all_may_cost_ten() -> None:
    found = strengths(table([*ROWS, ("steep", 0.1, 0.97), ("steep", 1.0, 0.8)]))
    assert found["limit"].tolist() == pytest.approx([0.89] * 8)
    assert found[found["chosen"]]["weight"].tolist() == [10.0, 30.0, 0.1]


def test_a_prior_that_costs_more_than_ten_points_at_every_weight_has_none_chosen() -> None:
    found = strengths(table([*ROWS, ("steep", 0.1, 0.88), ("steep", 1.0, 0.8)]))
    assert found[found["chosen"]]["prior"].tolist() == ["smooth", "flat"]


def test_models_choose_for_themselves() -> None:
    plain = table([("none", 0, 0.9), ("smooth", 1.0, 0.88), ("smooth", 0.1, 0.9)]).assign(model="plain")
    found = strengths(pd.concat([table(ROWS), plain]))
    assert found[found["chosen"] & (found["model"] == "plain")]["weight"].tolist() == [0.1]


def test_nothing_is_chosen_on_test_rows_without_a_prior_free_run_or_of_one_weight() -> None:
    assert strengths(pd.concat([table(ROWS), table(ROWS, "accuracy")])).empty
    assert strengths(table(ROWS[1:])).empty
    assert strengths(table(ROWS[:2])).empty


def test_the_strengths_of_drug_response_are_those_chosen_on_validation() -> None:
    rows = pd.read_csv(ROOT / "results/drug_response/strength/rows.csv.gz").query("metric == 'validation_r2'")
    rows = rows[rows["selection"].isna()]
    means = rows.groupby(["comparator", "strength"], as_index=False).agg(value=("value", "mean"), n=("value", "size"))
    assert (means["n"] == 2).all()
    best = means.loc[means.groupby("comparator")["value"].idxmax()].set_index("comparator")["strength"]
    assert len(best) == 15
    best["drug/graph_10"] = best["drug/graph"]  # as the card says
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for name, strength in best.items():
            written = compose("config", ["experiment=drug_response", f"comparator={name}"])
            assert written.strength == pytest.approx(strength), name
            tried = means.query("comparator == @name")["strength"]
            assert tried.empty == (name == "drug/graph_10")
            assert tried.empty or sorted(tried) == pytest.approx(written.strengths)


@pytest.mark.parametrize(("experiment", "priors"), [("images", 5), ("images_cifar", 2)])
def test_the_weights_of_the_image_priors_are_those_chosen_on_validation(experiment: str, priors: int) -> None:
    found = strengths(pd.read_csv(ROOT / f"results/{experiment}/path/table.csv"))
    chosen = found[found["chosen"]].set_index("prior")["weight"]
    written = {name: yaml.safe_load((CONF / "prior" / f"{name}.yaml").read_text())["weight"] for name in chosen.index}
    assert len(written) == priors
    assert written == chosen.to_dict()
