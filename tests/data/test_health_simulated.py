from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from attrpriors.data import Dataset, Provenance, health_simulated, survey


@pytest.fixture(scope="module")
def data() -> Dataset:
    return health_simulated.load(seed=3)


def replicate(table: pd.DataFrame, death: np.ndarray, train: int = 4, validation: int = 4) -> Dataset:
    return survey.replicate(
        table,
        death,
        seed=0,
        train=train,
        validation=validation,
        provenance=Provenance("made up"),
        name="made_up",
    )


def test_the_form_is_that_of_the_papers_table(data: Dataset) -> None:
    assert data.shape == (118,)
    assert len(data.features) == len(set(data.features)) == 118
    assert len(data.groups) == 35
    assert [len(part) for part in data.parts.values()] == [100, 100, 13242]
    assert data.output == "binary"
    assert data.outputs == 1
    assert all(part.x.dtype == part.y.dtype == torch.float32 for part in data.parts.values())


def test_every_person_is_in_exactly_one_part(data: Dataset) -> None:
    people = np.concatenate([part.unit for part in data.parts.values()])
    assert np.array_equal(np.sort(people), np.arange(13442))


def test_one_in_four_dies_within_15_years() -> None:
    _, death = health_simulated.population(13442)
    assert set(np.unique(death)) == {0.0, 1.0}
    assert death.mean() == pytest.approx(0.25, abs=0.02)


def test_scaling_is_learnt_from_the_training_people_alone(data: Dataset) -> None:
    centre, spread = data.train.x.double().mean(0), data.train.x.double().std(0, correction=0)
    asked = spread > 0  # the others are constant among 100 people
    torch.testing.assert_close(centre, torch.zeros_like(centre), atol=1e-6, rtol=0)
    torch.testing.assert_close(spread[asked], torch.ones_like(spread[asked]), atol=1e-6, rtol=0)
    assert 0 < (~asked).sum() < 30
    assert data.test.x.mean(0).abs().max() > 0.05
    assert (data.test.x.std(0) - 1).abs()[asked].max() > 0.05


def test_a_seed_is_a_split_and_the_people_stay_the_same(data: Dataset) -> None:
    again, other = health_simulated.load(seed=3), health_simulated.load(seed=4)
    for part in ("train", "val", "test"):
        assert torch.equal(data.parts[part].x, again.parts[part].x)
        assert torch.equal(data.parts[part].y, again.parts[part].y)
    assert set(other.train.unit) != set(data.train.unit)
    outcome = [
        dict(
            zip(
                np.concatenate([p.unit for p in d.parts.values()]),
                torch.cat([p.y for p in d.parts.values()]),
                strict=True,
            )
        )
        for d in (data, other)
    ]
    assert outcome[0] == outcome[1]


def test_truth_marks_every_feature_of_the_six_causes_and_no_other(data: Dataset) -> None:
    assert data.truth is not None
    marked = {i for cause in health_simulated.CAUSES for i in data.groups[cause]}
    assert set(torch.nonzero(data.truth).flatten().tolist()) == marked


def test_risk_depends_on_the_causes_alone() -> None:
    score = health_simulated.scores(500, np.random.default_rng(0))
    value = health_simulated.values(score)
    for name in value:
        changed = health_simulated.risk(value | {name: value[name][::-1]})
        assert (name in health_simulated.CAUSES) == (not np.array_equal(changed, health_simulated.risk(value)))


def test_the_levels_of_one_answer_add_up_to_one_or_are_missing_together() -> None:
    table, _ = health_simulated.population(2000)
    for variable, shares in health_simulated.LEVELS.items():
        levels = table[[f"{variable}={level}" for level in shares]]
        asked = levels.notna().all(axis=1)
        assert (levels[asked].sum(axis=1) == 1).all()
        assert levels[~asked].isna().all(axis=None)
        assert 0 < (~asked).sum() < 200


def test_the_old_are_measured_less_often() -> None:
    table, _ = health_simulated.population(13442)
    missing = table["cholesterol"].isna()
    assert table["age"][missing].mean() > table["age"][~missing].mean() + 3


def test_a_column_nobody_in_training_answered_is_zero_for_everybody() -> None:
    death = np.tile([0.0, 1.0], 10)
    rows = survey.split(death, 0, 4, 4, "made_up")
    table = pd.DataFrame({"asked": np.arange(20.0), "unasked": 200.0 + np.arange(20.0)})
    table.loc[rows["train"], "unasked"] = np.nan
    data = replicate(table, death)
    for part in data.parts.values():
        assert (part.x[:, 1] == 0).all()
        assert (part.x[:, 0] != 0).any()


def test_a_missing_answer_becomes_the_training_mean() -> None:
    death = np.tile([0.0, 1.0], 10)
    rows = survey.split(death, 0, 4, 4, "made_up")
    table = pd.DataFrame({"asked": np.arange(20.0)})
    table.loc[rows["test"], "asked"] = np.nan
    assert (replicate(table, death).test.x == 0).all()  # 0 is the mean of the scaled training rows


def test_a_column_that_is_constant_in_training_stays_finite() -> None:
    death = np.tile([0.0, 1.0], 10)
    rows = survey.split(death, 0, 4, 4, "made_up")
    table = pd.DataFrame({"rare": np.ones(20)})
    table.loc[rows["train"], "rare"] = 0.0
    data = replicate(table, death)
    assert (data.train.x == 0).all()
    assert (data.test.x == 1).all()


@pytest.mark.parametrize(("train", "validation"), [(1, 4), (4, 1), (10, 10)])
def test_sizes_that_leave_a_part_empty_are_refused(train: int, validation: int) -> None:
    table, death = pd.DataFrame({"asked": np.arange(20.0)}), np.tile([0.0, 1.0], 10)
    with pytest.raises(ValueError, match=f"has 20 people, found train={train} and validation={validation}"):
        replicate(table, death, train, validation)


def test_training_people_of_one_outcome_are_refused() -> None:
    table = pd.DataFrame({"asked": np.arange(20.0)})
    with pytest.raises(ValueError, match="share one outcome"):
        replicate(table, np.zeros(20))


def test_its_configuration_loads_it(configured: Callable[..., Dataset]) -> None:
    loaded = configured("health_simulated")
    assert loaded.name == "health_simulated"
    assert [len(part) for part in loaded.parts.values()] == [100, 100, 13242]
