"""Tables of one's own, made up in a temporary folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attrpriors.data import Dataset, csv_file

ROWS = 60


@pytest.fixture
def table() -> pd.DataFrame:
    """People with three rows each; every third age is missing, every fourth city, one number is a code."""
    draws = np.random.default_rng(0)
    age, number = draws.integers(20, 80, ROWS).astype(float), np.arange(ROWS)
    frame = pd.DataFrame({"person": [f"p{i // 3}" for i in number], "age": age, "dose": draws.normal(size=ROWS)})
    frame["city"] = np.where(number % 4 == 0, None, np.where(number % 2, "Oslo", "Bergen"))
    frame["code"] = number % 3
    frame["ill"] = np.where(number % 2, "yes", "no")
    frame["cost"] = 1000 + 10 * age
    frame.loc[::3, "age"] = np.nan
    return frame


@pytest.fixture
def load(table: pd.DataFrame, tmp_path: Path) -> Callable[..., Dataset]:
    """load("cost", ...): the data set of the table, changed where `changed` says so."""

    def loaded(target: str = "ill", changed: pd.DataFrame | None = None, **settings: object) -> Dataset:
        path = tmp_path / "table.csv"
        (table if changed is None else changed).to_csv(path, index=False)
        return csv_file.load(str(path), target, **{"seed": 0, "validation": 0.2, "test": 0.2, **settings})

    return loaded


def test_numbers_are_features_and_words_are_a_feature_a_level_in_groups_of_their_column(load) -> None:
    data = load(categories=["code"], drop=["person", "cost"])
    assert data.features == (
        *("age", "dose", "age=missing", "city=Bergen", "city=Oslo", "city=missing"),
        *("code=0", "code=1", "code=2"),
    )
    assert data.groups == {"age": (0, 2), "dose": (1,), "city": (3, 4, 5), "code": (6, 7, 8)}
    assert (data.output, data.outputs, data.classes) == ("binary", 1, ("no", "yes"))


def test_rows_of_more_cells_than_the_header_line_are_refused(table, tmp_path) -> None:
    path = tmp_path / "shifted.csv"
    header, *rows = table.to_csv(index=False).splitlines()
    path.write_text("\n".join([header, *(f"{row}," for row in rows)]))
    with pytest.raises(ValueError, match="rows have more cells than the header line, which has 7"):
        csv_file.load(str(path), "ill", seed=0)


def test_a_cell_is_its_number_its_level_or_the_training_mean_in_the_unit_of_its_column(load, table) -> None:
    data = load(drop=["person", "cost"])
    mean = table["age"][data.train.unit].mean()
    for part in data.parts.values():
        cells = pd.DataFrame(data.scale.centre + data.scale.spread * part.x, columns=data.features)
        row = table.iloc[part.unit].reset_index(drop=True)
        np.testing.assert_allclose(cells["age"], row["age"].fillna(mean), atol=1e-4)
        np.testing.assert_allclose(cells["age=missing"], row["age"].isna(), atol=1e-6)
        np.testing.assert_allclose(cells["city=Oslo"], row["city"] == "Oslo", atol=1e-6)
        np.testing.assert_allclose(cells["city=missing"], row["city"].isna(), atol=1e-6)
        assert list(part.y.numpy()) == [float(ill == "yes") for ill in row["ill"]]


def test_nothing_of_the_validation_and_test_rows_is_learnt(load, table) -> None:
    before = load(drop=["person", "cost"])
    held_out = np.concatenate([before.val.unit, before.test.unit])
    changed = table.copy()
    changed.loc[held_out, ["age", "dose"]] = 1e6
    after = load(changed=changed, drop=["person", "cost"])
    assert torch.equal(after.train.x, before.train.x)
    assert not torch.equal(after.val.x, before.val.x)


def test_a_regression_target_has_mean_0_and_variance_1_in_training_and_keeps_its_unit(load, table) -> None:
    data = load("cost", drop=["person", "ill"])
    assert (data.output, data.classes) == ("regression", ())
    assert float(data.train.y.mean()) == pytest.approx(0, abs=1e-6)
    assert float(data.train.y.std(correction=0)) == pytest.approx(1, abs=1e-6)
    cost = data.outcome.centre + data.outcome.spread * data.test.y
    np.testing.assert_allclose(cost, table["cost"][data.test.unit], rtol=1e-5)


def test_shares_of_classes_are_equal_in_every_part_and_the_seed_draws_them(load) -> None:
    data, again, other = (load("code", drop=["person"], seed=seed) for seed in (0, 0, 1))
    assert (data.output, data.outputs, data.classes) == ("classes", 3, ("0", "1", "2"))
    for part, count in zip(data.parts.values(), (12, 4, 4), strict=True):
        assert part.y.bincount().tolist() == [count] * 3
    assert torch.equal(data.train.x, again.train.x)
    assert set(data.test.unit) != set(other.test.unit)


def test_the_rows_of_one_person_stay_in_one_part(load) -> None:
    data = load(id="person")
    people = [set(part.unit) for part in data.parts.values()]
    assert [len(one) for one in people] == [12, 4, 4]
    assert [len(part) for part in data.parts.values()] == [36, 12, 12]
    assert set.intersection(*people) == set()
    assert "person" not in data.groups


@pytest.mark.parametrize(
    ("values", "task", "expected"),
    [
        (["1", "0"], None, "binary"),
        (["a", "b", "c"], None, "classes"),
        ([1, 2, 3], None, "classes"),
        ([1, 2, 3], "regression", "regression"),
        (list(range(11)), None, "regression"),
        ([0.5, 1.5], None, "regression"),
        ([0.5, 1.5], "binary", "binary"),
    ],
)
def test_words_and_at_most_ten_whole_numbers_are_classes_unless_a_task_is_given(load, table, values, task, expected):
    changed = table.assign(goal=(values * ROWS)[:ROWS])
    assert load("goal", changed, task=task, drop=["person"]).output == expected


def test_new_rows_are_read_as_the_training_rows_were_whatever_the_order_of_their_columns(load, table, tmp_path) -> None:
    data = load(id="person", drop=["cost"])
    rows = table.iloc[:4, ::-1].drop(columns=["ill", "cost"])
    rows.to_csv(tmp_path / "new.csv", index=False)
    new = data.read(str(tmp_path / "new.csv"))
    assert list(new.unit) == ["p0", "p0", "p0", "p1"]
    known = next(part for part in data.parts.values() if "p0" in part.unit)
    torch.testing.assert_close(new.x[:3], known.x[known.unit == "p0"])


def test_a_level_that_no_training_row_has_is_none_of_the_levels(load, table, tmp_path) -> None:
    data = load(drop=["person", "cost"])
    table.assign(city="Rome").to_csv(tmp_path / "new.csv", index=False)
    cells = data.scale.centre + data.scale.spread * data.read(str(tmp_path / "new.csv")).x
    assert cells[:, list(data.groups["city"])].abs().max() < 1e-6


def test_a_graph_joins_features_by_their_names_in_either_direction(load, tmp_path) -> None:
    path = tmp_path / "edges.csv"
    path.write_text("a,b,w\nage,dose,2\ncity=Oslo,age,0.5\ndose,age,2\n")
    data = load(drop=["person", "cost"], graph=str(path))
    pairs = [{data.features[i] for i in pair} for pair in data.graph.edges.T.tolist()]
    assert pairs == [{"age", "dose"}, {"age", "city=Oslo"}]
    assert data.graph.weight.tolist() == [2, 0.5]
    path.write_text("a,b\nage,dose\n")
    assert load(drop=["person", "cost"], graph=str(path)).graph.weight.tolist() == [1]
    assert set(data.provenance.files) == {"table.csv", "edges.csv"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\nage,wage\n", r"edges\.csv: 'wage' is no feature; the features are age, dose"),
        ("a,b\nage,city\n", r"'city' is no feature"),
        ("a,b,w\nage,dose,-1\n", r"one positive weight for an edge; found \['age', 'dose', '-1'\]"),
        ("a,b,w\nage,dose,1\ndose,age,2\n", r"one positive weight for an edge; found \['dose', 'age', '2'\]"),
        ("a,b\nage,age\n", r"expected two features .*; found \['age', 'age'\]"),
        ("age,dose\nage,code\n", "expected a header line, two columns of features"),
        ("a\nage\n", "expected a header line, two columns of features"),
    ],
)
def test_an_edge_that_joins_no_two_features_is_named(load, tmp_path, text, sentence) -> None:
    (tmp_path / "edges.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        load(drop=["person", "cost"], graph=str(tmp_path / "edges.csv"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"target": "illness"}, r"has no column 'illness' \(data\.target\); its columns are person, age"),
        ({"drop": ["aeg"]}, r"has no column 'aeg' \(data\.drop\)"),
        ({"drop": "age"}, r"data\.drop is a list of columns, as data\.drop=\[age\]; found 'age'"),
        ({"categories": "code"}, r"data\.categories is a list of columns"),
        ({"id": "patient"}, r"has no column 'patient' \(data\.id\)"),
        ({"task": "sorting"}, "data.task is one of classes, binary, regression, or null; found 'sorting'"),
        ({"task": "regression"}, "ill holds 'no', data.task=regression expects numbers alone"),
        ({"target": "code", "task": "binary"}, "code has 3 values, data.task=binary expects 2"),
        ({"target": "age"}, "age is empty in 20 rows, the first is row 0, counted from 0"),
        ({"validation": 0.6, "test": 0.4}, "expected shares with a sum below 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_a_sentence(load, settings, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        load(**settings)


def test_a_table_that_does_not_fit_is_refused_in_a_sentence(load, table, tmp_path) -> None:
    def refused(changed: pd.DataFrame, sentence: str, target: str = "ill") -> None:
        with pytest.raises(ValueError, match=sentence):
            load(target, changed)

    refused(table.assign(ill="no"), "ill is no in all 60 rows: there is nothing to predict")
    refused(table.iloc[:4], r"too few rows to split \(4, each id counted once\)")
    refused(table.iloc[:6].assign(cost=[1.5, 2, 3, 4, 5, 6]), "too few rows", "cost")
    refused(table.assign(name=[f"n{i}" for i in range(ROWS)]), "name has 60 different values .*: list it in data.drop")
    spelt = table.astype({"age": object, "dose": object})
    spelt.loc[7, "age"] = "?"
    refused(spelt, r"age holds '\?' among numbers: .* list age in data\.categories")
    refused(table.assign(dose="1,234"), "dose holds '1,234' among numbers: write 1234.5 for a number")
    commas = [f"1,{cost:03.0f}" for cost in table["cost"] % 1000]
    refused(table.assign(cost=commas), r"cost holds '1,\d{3}' among numbers: .* set data\.task=classes", "cost")
    refused(table.assign(dose=np.inf), "dose holds 'inf' where a finite number is expected")
    refused(table[["ill"]], "has no column to predict from")
    refused(table.assign(**{"city=Oslo": 1}), "expected features with names of their own")
    refused(table.set_axis([*table.columns[:2], "age", *table.columns[3:]], axis=1), "a name of its own")
    (tmp_path / "table.csv").write_text("")
    with pytest.raises(ValueError, match="cannot be read as a CSV file"):
        csv_file.load(str(tmp_path / "table.csv"), "ill", seed=0)
    with pytest.raises(ValueError, match=r"nowhere\.csv is missing: expected a CSV file with a header line"):
        csv_file.load(str(tmp_path / "nowhere.csv"), "ill", seed=0)


def test_new_rows_that_do_not_fit_are_refused_in_a_sentence(load, table, tmp_path) -> None:
    data, path = load(drop=["person", "cost"]), tmp_path / "new.csv"
    for changed, sentence in (
        (table.drop(columns="age"), "has no column 'age', which the model takes"),
        (table.assign(dose="much"), "dose holds 'much' where a finite number is expected"),
        (table.iloc[:0], "has no rows"),
    ):
        changed.to_csv(path, index=False)
        with pytest.raises(ValueError, match=sentence):
            data.read(str(path))


def test_numbers_with_an_odd_cell_are_levels_where_they_are_named_as_such(load, table) -> None:
    changed = table.astype({"code": object})
    changed.loc[::10, "code"] = "?"
    assert "code=?" in load("ill", changed, categories=["code"], drop=["person", "cost"]).features
    assert load("code", changed, task="classes").outputs == 4


def test_its_configuration_loads_it(load, configured, tmp_path) -> None:
    written = load()
    data = configured("csv", path=str(tmp_path / "table.csv"), target="ill", validation=0.2, test=0.2)
    assert (data.name, data.shape) == ("csv", written.shape)
    assert replace(data.provenance, files={}).source == "real"
