from collections.abc import Callable

import numpy as np
import pytest
import torch

from attrpriors.data import Dataset, linear60


@pytest.mark.parametrize(("correlation", "name"), [(0.99, "corrgroups60"), (0.0, "independentlinear60")])
def test_the_rows_are_those_of_the_shap_package(correlation: float, name: str) -> None:
    shap = pytest.importorskip("shap")
    x, y = linear60.world(correlation)
    theirs, outcome = getattr(shap.datasets, name)()
    np.testing.assert_allclose(x, theirs.to_numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(y, outcome, rtol=0, atol=1e-10)


def test_correlated_groups_have_exactly_their_covariance() -> None:
    x, _ = linear60.world(0.99)
    found = np.cov(x.T, bias=True)
    np.testing.assert_allclose(found, linear60.covariance(0.99), atol=1e-9)
    assert found[0, 1] == pytest.approx(0.99)
    assert found[27, 29] == pytest.approx(0.99)
    assert found[0, 3] == pytest.approx(0, abs=1e-9)
    assert found[30, 31] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("load", [linear60.load_correlated, linear60.load_independent])
def test_a_seed_is_a_split_of_the_same_rows(load: Callable[..., Dataset]) -> None:
    data, other = load(seed=0), load(seed=1)
    assert [len(part) for part in data.parts.values()] == [900, 100, 100]
    assert set(data.train.unit) | set(data.test.unit) == {f"row/{i}" for i in range(1000)}
    assert set(data.test.unit) != set(other.test.unit)
    assert not torch.equal(data.val.x, other.val.x)
    assert torch.equal(data.val.x, load(seed=0).val.x)
    assert data.provenance.source == "generated"


@pytest.mark.parametrize("load", [linear60.load_correlated, linear60.load_independent])
def test_the_ten_features_that_count_explain_all_but_the_noise(load: Callable[..., Dataset]) -> None:
    data = load(seed=0)
    assert data.truth is not None
    assert int(data.truth.sum()) == 10
    for part in data.parts.values():
        rest = part.y - part.x[:, data.truth].sum(1)
        assert rest.std().item() == pytest.approx(0.01, rel=0.2)


def test_validation_rows_are_distributed_like_the_others() -> None:
    data = linear60.load_correlated(validation=5000, seed=0)
    found = np.cov(data.val.x.numpy().T)
    np.testing.assert_allclose(found, linear60.covariance(0.99), atol=0.1)


def test_too_few_validation_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="correlated_groups_60: validation is 1: expected 2 rows or more"):
        linear60.load_correlated(validation=1, seed=0)


def test_their_configurations_load_them(configured: Callable[..., Dataset]) -> None:
    assert configured("correlated_groups_60").name == "correlated_groups_60"
    assert configured("independent_linear_60").name == "independent_linear_60"
