"""CIFAR-10 from made-up archives in the two published forms."""

import hashlib
import io
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attrpriors.data import cifar10
from attrpriors.data.download import File

PER_BATCH = 8


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as the plain strings of Python 2, as the published batches have them."""

    def save_string(self, value: str | bytes) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}  # noqa: RUF012


def python2_pickle(value: object) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def place(root: Path, members: dict[str, bytes], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes an archive in place of the published one called `name`, and makes its checksum the expected one."""
    file, content = getattr(cifar10, name), archive(members)
    (root / file.path).write_bytes(content)
    monkeypatch.setattr(cifar10, name, File(file.path, file.url, hashlib.sha256(content).hexdigest()))


@pytest.fixture
def batches() -> dict[str, dict]:
    draws = np.random.default_rng(0)
    return {
        name: {
            "batch_label": name,
            "labels": [int(label) for label in draws.integers(0, 10, PER_BATCH)],
            "data": draws.integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8),
            "filenames": [f"{row}.png" for row in range(PER_BATCH)],
        }
        for name in cifar10.BATCHES
    }


@pytest.fixture
def original(tmp_path: Path, batches: dict[str, dict], monkeypatch: pytest.MonkeyPatch) -> str:
    members = {f"cifar-10-batches-py/{name}": python2_pickle(batch) for name, batch in batches.items()}
    members = {"cifar-10-batches-py/readme.html": b"not a batch", **dict(reversed(members.items()))}
    place(tmp_path, members, "ORIGINAL", monkeypatch)
    return str(tmp_path)


@pytest.fixture
def jpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Image number n of class c is evenly grey with the value 10 c + n; JPEG keeps that exactly."""
    members = {}
    for half, count in (("test", 1), ("train", 3)):
        for label, name in enumerate(cifar10.CLASSES):
            for number in range(count):
                buffer = io.BytesIO()
                Image.new("RGB", (32, 32), (10 * label + number,) * 3).save(buffer, "JPEG")
                members[f"{half}/{name}/{number:04d}.jpg"] = buffer.getvalue()
    place(tmp_path, members, "JPEG", monkeypatch)
    return str(tmp_path)


def test_every_row_is_the_image_and_label_that_its_unit_names(original, batches):
    data = cifar10.load(original, train=30, validation=10, seed=0)
    assert [len(part) for part in data.parts.values()] == [30, 10, PER_BATCH]
    pixels = {}
    for part in data.parts.values():
        for y, unit in zip(part.y, part.unit, strict=True):
            name, row = unit.split("/")
            pixels[unit] = batches[name]["data"][int(row)].reshape(3, 32, 32).astype(np.float64)
            assert y == batches[name]["labels"][int(row)]
    train = np.stack([pixels[unit] for unit in data.train.unit])
    centre, spread = train.mean((0, 2, 3), keepdims=True), train.std((0, 2, 3), keepdims=True)
    for part in data.parts.values():
        expected = (np.stack([pixels[unit] for unit in part.unit]) - centre) / spread
        np.testing.assert_allclose(part.x.numpy(), expected, rtol=0, atol=1e-5)


def test_channels_are_standardised_on_the_training_rows_alone(original):
    data = cifar10.load(original, train=30, validation=10, seed=0)
    spread, centre = torch.std_mean(data.train.x, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(centre, torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(spread, torch.ones(3), rtol=0, atol=1e-5)
    assert data.val.x.mean().abs() > 1e-4


def test_the_published_test_images_stay_the_test_part_for_every_seed(original, jpeg):
    for load, first in ((cifar10.load, "test_batch/0"), (cifar10.load_jpeg, "test/airplane/0000.jpg")):
        units = [list(load(original, train=20, validation=10, seed=seed).test.unit) for seed in (0, 1)]
        assert units[0] == units[1]
        assert units[0][0] == first
        assert all(unit.startswith("test") for unit in units[0])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(original):
    one, again, other = (cifar10.load(original, 30, 10, seed=seed) for seed in (4, 4, 5))
    for name, part in one.parts.items():
        assert torch.equal(part.x, again.parts[name].x)
        assert list(part.unit) == list(again.parts[name].unit)
    assert set(one.val.unit) != set(other.val.unit)


def test_jpeg_copies_are_read_with_their_class_and_said_to_be_copies(jpeg):
    data = cifar10.load_jpeg(jpeg, train=20, validation=10, seed=0)
    assert data.name == "cifar10_jpeg"
    assert data.provenance.stand_in == "JPEG copies of the images"
    assert data.shape == (3, 32, 32)
    assert data.train.x.is_contiguous()
    values = []
    for part in data.parts.values():
        for y, unit in zip(part.y, part.unit, strict=True):
            _, name, number = unit.split("/")
            assert cifar10.CLASSES[y] == name
            values.append(10 * int(y) + int(number[:4]))
    train = torch.tensor(values[:20]).double()
    expected = (torch.tensor(values).double() - train.mean()) / train.std(correction=0)
    found = torch.cat([part.x for part in data.parts.values()])
    torch.testing.assert_close(found, expected.float()[:, None, None, None].expand_as(found), rtol=0, atol=1e-5)


def test_a_batch_that_calls_for_anything_but_arrays_is_refused_and_not_run(tmp_path, monkeypatch):
    class Malicious:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "harm"),)

    members = {"cifar-10-batches-py/data_batch_1": python2_pickle({"data": Malicious()})}
    place(tmp_path, members, "ORIGINAL", monkeypatch)
    with pytest.raises(pickle.UnpicklingError, match=r"asks for posix\.mkdir"):
        cifar10.load(str(tmp_path), seed=0)
    assert not (tmp_path / "harm").exists()


def test_an_altered_archive_is_never_unpickled(original, monkeypatch):
    path = Path(original) / cifar10.ORIGINAL.path
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(cifar10, "read_batches", lambda path: pytest.fail("read"))
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz is not the published file"):
        cifar10.load(original, seed=0)


def test_sizes_that_do_not_fit_are_refused_with_the_number_of_images(original):
    with pytest.raises(ValueError, match=r"train=31 and validation=10 .* at most 40"):
        cifar10.load(original, 31, 10, seed=0)


def test_its_configurations_load_it(original, jpeg, configured):
    one = configured("cifar10", root=original, train=20, validation=10)
    other = configured("cifar10_jpeg", root=jpeg, train=20, validation=10)
    assert [one.name, other.name] == ["cifar10", "cifar10_jpeg"]
    assert len(one.train) == len(other.train) == 20
