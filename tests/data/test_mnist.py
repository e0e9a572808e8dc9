"""MNIST and Fashion-MNIST from made-up idx files, and MNIST from the real ones in the folder ATTRPRIORS_MIRROR."""

import gzip
import hashlib
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from attrpriors.data import fashion_mnist, mnist
from attrpriors.data.download import File

TRAIN, TEST = 40, 10


def idx(values: np.ndarray) -> bytes:
    """The format of the published files: 0, 0, 8 (unsigned byte), axes, big-endian lengths, values."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    return gzip.compress(header + values.tobytes())


@pytest.fixture(params=[mnist, fashion_mnist], ids=["mnist", "fashion_mnist"])
def room(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (TRAIN + TEST, 28, 28), dtype=np.uint8)


@pytest.fixture
def root(room: ModuleType, tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> str:
    """Image number n has the label n % 10."""
    labels = (np.arange(TRAIN + TEST) % 10).astype(np.uint8)
    contents = [idx(part) for part in (pixels[:TRAIN], labels[:TRAIN], pixels[TRAIN:], labels[TRAIN:])]
    files = []
    for file, content in zip(room.FILES, contents, strict=True):
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files.append(File(file.path, file.url, hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(room, "FILES", tuple(files))
    return str(tmp_path)


def test_every_row_is_the_image_and_label_that_its_unit_names(room, root, pixels):
    data = room.load(root, train=30, validation=10, seed=0)
    assert [len(part) for part in data.parts.values()] == [30, 10, TEST]
    for part in data.parts.values():
        for x, y, unit in zip(part.x, part.y, part.unit, strict=True):
            half, number = unit.split("/")
            number = int(number) + TRAIN * (half == "test")
            assert y == number % 10
            torch.testing.assert_close(x, torch.from_numpy(pixels[number] / 255.0 - 0.5).float()[None])


def test_inputs_span_minus_half_to_half():
    x = mnist.scaled(np.array([[[0, 51, 255]]], np.uint8))
    torch.testing.assert_close(x, torch.tensor([[[[-0.5, -0.3, 0.5]]]]))


def test_the_published_test_images_stay_the_test_part_for_every_seed(room, root):
    for seed in (0, 1):
        assert list(room.load(root, 30, 10, seed=seed).test.unit) == [f"test/{n}" for n in range(TEST)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(room, root):
    one, again, other = (room.load(root, 30, 10, seed=seed) for seed in (4, 4, 5))
    for name, part in one.parts.items():
        assert torch.equal(part.x, again.parts[name].x)
        assert torch.equal(part.y, again.parts[name].y)
    assert list(one.val.unit) == list(again.val.unit)
    assert set(one.val.unit) != set(other.val.unit)


def test_fewer_training_images_are_a_part_of_more_and_leave_validation_alone(room, root):
    few, many = room.load(root, 5, 10, seed=0), room.load(root, 30, 10, seed=0)
    assert list(few.train.unit) == list(many.train.unit[:5])
    assert list(few.val.unit) == list(many.val.unit)


@pytest.mark.parametrize(("train", "validation"), [(31, 10), (0, 10), (30, 0), (-1, 10)])
def test_sizes_that_do_not_fit_are_refused_with_the_number_of_images(room, root, train, validation):
    with pytest.raises(ValueError, match=f"train={train} and validation={validation} .* at most 40"):
        room.load(root, train, validation, seed=0)


def test_an_altered_file_is_never_read(room, root):
    (Path(root) / room.FILES[1].path).write_bytes(idx(np.zeros(TRAIN, np.uint8)))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte\.gz is not the published file"):
        room.load(root, 30, 10, seed=0)


def test_the_provenance_names_each_file_and_no_stand_in(room, root):
    provenance = room.load(root, 30, 10, seed=0).provenance
    assert provenance.stand_in == ""
    assert provenance.files == {file.path: file.sha256 for file in room.FILES}


def test_its_configuration_loads_it(room, root, configured):
    settings = {"root": root, "train": 30, "validation": 10}
    data = configured("mnist", **settings) if room is mnist else configured("fashion_mnist", **settings)
    assert data.name == room.__name__.split(".")[-1]
    assert data.shape == (1, 28, 28)


def test_the_files_of_the_two_are_others_in_folders_of_their_own():
    one, other = ({(file.path, file.sha256) for file in room.FILES} for room in (mnist, fashion_mnist))
    assert len(one | other) == len({path for path, _ in one | other}) == len({sha for _, sha in one | other}) == 8


@pytest.mark.skipif("ATTRPRIORS_MIRROR" not in os.environ, reason="ATTRPRIORS_MIRROR names no folder")
def test_the_real_files_hold_the_published_numbers_of_each_digit():
    data = mnist.load(os.environ["ATTRPRIORS_MIRROR"], seed=0)
    assert [len(part) for part in data.parts.values()] == [55_000, 5_000, 10_000]
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(torch.cat([data.train.y, data.val.y])).tolist() == published
    assert torch.bincount(data.test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
