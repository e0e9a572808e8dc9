import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrpriors.data import Dataset, nhanes
from attrpriors.data.download import File

MIRROR = os.environ.get("ATTRPRIORS_MIRROR", "")
real = pytest.mark.skipif(not MIRROR, reason="ATTRPRIORS_MIRROR names no folder of real data")

VARIABLES = [
    *("Age", "Diastolic BP", "Poverty index", "Race", "Red blood cells", "Sedimentation rate"),
    *("Serum Albumin", "Serum Cholesterol", "Serum Iron", "Serum Magnesium", "Serum Protein", "Sex"),
    *("Systolic BP", "TIBC", "TS", "White blood cells", "BMI", "Pulse pressure"),
]


def made_up(people: int) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    table = pd.DataFrame(draws.uniform(20, 70, size=(people, 18)), columns=VARIABLES)
    return table.assign(Sex=draws.integers(1, 3, people), Race=draws.integers(1, 4, people)).astype(float)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with 60 made-up people, ten of them of unknown outcome at 15 years."""
    years = np.concatenate([np.full(20, 5.0), np.full(30, -20.0), np.zeros(6), np.full(4, -9.0)])
    for name, content in {"FEATURES": made_up(60), "FOLLOW_UP": pd.DataFrame({"y": years})}.items():
        path = tmp_path / f"{name}.csv"
        content.to_csv(path)
        monkeypatch.setattr(nhanes, name, File(path.name, "", hashlib.sha256(path.read_bytes()).hexdigest()))
    return tmp_path


def test_labels_against_rows_made_by_hand() -> None:
    follow_up = pd.Series(
        {
            "died at 14": 14.0,
            "died at 15": 15.0,
            "died at 16": 16.0,
            "alive at 16": -16.0,
            "alive at 15": -15.0,
            "last seen at 12": -12.0,
            "never traced": 0.0,
        }
    )
    expected = pd.Series([1.0, 1.0, 0.0, 0.0, 0.0, np.nan, np.nan], index=follow_up.index)
    pd.testing.assert_series_equal(nhanes.death(follow_up, 15), expected)


def test_missing_codes_become_missing_values_and_nothing_else_does() -> None:
    table = made_up(4)
    table["Poverty index"] = [999.0, 998.0, 2.0, 100.0]
    table["Red blood cells"] = [77.7, 88.80000000000001, 47.7, 77.6]
    coded = nhanes.coded(table)
    assert coded["Poverty index"].isna().tolist() == [True, False, False, False]
    assert coded["Red blood cells"].isna().tolist() == [True, True, False, False]
    assert coded.isna().sum().sum() == 3
    assert table.isna().sum().sum() == 0


def test_sex_is_one_column_and_race_is_three() -> None:
    table = made_up(3).assign(Sex=[1.0, 2.0, 2.0], Race=[1.0, 2.0, 3.0])
    coded = nhanes.coded(table)
    assert coded["Sex=female"].tolist() == [0, 1, 1]
    assert coded[["Race=white", "Race=black", "Race=other"]].to_numpy().tolist() == np.eye(3).tolist()
    assert coded.shape == (3, 20)
    assert [name for name in coded if "=" not in name] == [v for v in VARIABLES if v not in ("Sex", "Race")]


def test_people_of_unknown_outcome_are_left_out(root: Path) -> None:
    data = nhanes.load(seed=0, root=str(root), train=20, validation=15)
    people = np.concatenate([part.unit for part in data.parts.values()])
    assert sorted(people) == list(range(50))
    for part in data.parts.values():
        assert part.y.tolist() == [float(person < 20) for person in part.unit]


def test_a_feature_group_is_a_survey_variable(root: Path) -> None:
    data = nhanes.load(seed=0, root=str(root), train=20, validation=15)
    assert len(data.groups) == 18
    assert [data.features[i] for i in data.groups["Race"]] == ["Race=white", "Race=black", "Race=other"]
    assert [data.features[i] for i in data.groups["Sex"]] == ["Sex=female"]
    assert sorted(i for group in data.groups.values() for i in group) == list(range(20))


@pytest.mark.parametrize("horizon", [0, -1, 0.5, 19, float("nan")])
def test_a_horizon_without_meaningful_labels_is_refused(horizon: float) -> None:
    with pytest.raises(ValueError, match=f"horizon is {horizon}: expected 1 to 18 years"):
        nhanes.load(seed=0, horizon=horizon)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"NHANESI_subset_X.csv is missing: run `make data`"):
        nhanes.load(seed=0, root=str(tmp_path))


def test_its_configuration_loads_it(root: Path, configured: Callable[..., Dataset]) -> None:
    data = configured("nhanes", root=str(root), train=20, validation=15)
    assert data.name == "nhanes"
    assert [len(part) for part in data.parts.values()] == [20, 15, 15]


@real
@pytest.mark.parametrize(("horizon", "people", "deaths"), [(10, 9535, 1503), (15, 9278, 2484)])
def test_the_real_table_has_the_documented_counts(horizon: int, people: int, deaths: int) -> None:
    data = nhanes.load(seed=0, root=MIRROR, horizon=horizon)
    outcome = np.concatenate([part.y for part in data.parts.values()])
    assert (len(outcome), outcome.sum()) == (people, deaths)
    assert data.shape == (20,)
    assert data.provenance.stand_in == ""


@real
def test_red_blood_cells_of_the_real_table_hold_no_codes() -> None:
    table = nhanes.coded(pd.read_csv(Path(MIRROR) / nhanes.FEATURES.path, index_col=0))
    assert table["Red blood cells"].isna().sum() == 1849 + 464
    assert table["Red blood cells"].max() < 70
    assert table["Poverty index"].isna().sum() == 390
