from collections.abc import Callable

import pytest
import torch

from attrpriors.data import Dataset, redundant_feature


def test_the_features_are_equal_in_training_and_independent_in_the_test() -> None:
    data = redundant_feature.load(seed=0)
    for part in (data.train, data.val):
        assert torch.equal(part.x[:, 0], part.x[:, 1])
    equal = (data.test.x[:, 0] == data.test.x[:, 1]).float().mean().item()
    assert equal == pytest.approx(0.5, abs=0.06)
    for part in data.parts.values():
        assert torch.equal(part.y, part.x[:, 0])
        assert set(part.x.unique().tolist()) == {0.0, 1.0}
        assert part.y.mean().item() == pytest.approx(0.5, abs=0.15)


def test_a_seed_decides_on_the_rows() -> None:
    data, again, other = (redundant_feature.load(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(data.train.x, again.train.x)
    assert not torch.equal(data.train.x, other.train.x)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="redundant_feature: train=0, validation=100 and test=1000 must be 1 or more"):
        redundant_feature.load(train=0, seed=0)


def test_its_configuration_loads_it(configured: Callable[..., Dataset]) -> None:
    assert len(configured("redundant_feature").train) == 15 * 64
