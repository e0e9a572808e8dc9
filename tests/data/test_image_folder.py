"""Image folders of one's own, made up in a temporary folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attrpriors.data import image_folder

COLOURS = {"blue": (0, 0, 200), "red": (200, 0, 0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 training and 4 test images, half of them blue, half red, each a little brighter than the last."""
    for half, count in (("train", 10), ("test", 2)):
        for name, colour in COLOURS.items():
            (tmp_path / half / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (6, 4), tuple(value + number for value in colour))
                image.save(tmp_path / half / name / f"{number}.png")
    return tmp_path


def test_every_row_is_the_resized_image_and_class_that_its_unit_names(folder):
    data = image_folder.load(str(folder), size=8, validation=0.2, seed=0)
    assert [len(part) for part in data.parts.values()] == [16, 4, 4]
    assert data.shape == (3, 8, 8)
    colours = {
        name: np.array([np.add(COLOURS[unit.split("/")[1]], int(Path(unit).stem)) for unit in part.unit])
        for name, part in data.parts.items()
    }
    centre, spread = colours["train"].mean(0), colours["train"].std(0)
    for name, part in data.parts.items():
        expected = torch.from_numpy((colours[name] - centre) / spread).float()[:, :, None, None]
        torch.testing.assert_close(part.x, expected.expand_as(part.x), rtol=0, atol=1e-5)
        assert [list(COLOURS)[y] for y in part.y] == [unit.split("/")[1] for unit in part.unit]


def test_validation_comes_from_train_and_test_stays_test(folder):
    data = image_folder.load(str(folder), seed=0)
    assert all(unit.startswith("train/") for unit in [*data.train.unit, *data.val.unit])
    assert all(unit.startswith("test/") for unit in data.test.unit)
    assert len(data.val) == 2


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(folder):
    one, again, other = (image_folder.load(str(folder), validation=0.5, seed=seed) for seed in (4, 4, 5))
    assert all(torch.equal(part.x, again.parts[name].x) for name, part in one.parts.items())
    assert list(one.val.unit) == list(again.val.unit)
    assert set(one.val.unit) != set(other.val.unit)


def test_grey_images_and_images_with_transparency_become_three_channels(folder):
    Image.new("L", (6, 4), 100).save(folder / "train" / "red" / "0.png")
    Image.new("RGBA", (6, 4), (1, 2, 3, 4)).save(folder / "train" / "blue" / "0.png")
    assert image_folder.load(str(folder), seed=0).shape == (3, 32, 32)


def test_the_checksum_of_a_part_changes_with_any_image_in_it(folder):
    before = image_folder.load(str(folder), seed=0).provenance.files
    Image.new("RGB", (6, 4), (1, 2, 3)).save(folder / "test" / "red" / "0.png")
    after = image_folder.load(str(folder), seed=0).provenance.files
    assert after["train"] == before["train"]
    assert after["test"] != before["test"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere/train is not a folder; .* train/ and test/"):
        image_folder.load(str(tmp_path / "nowhere"), seed=0)


def test_a_missing_test_folder_is_named(folder):
    (folder / "test").rename(folder / "held_out")
    with pytest.raises(FileNotFoundError, match="test is not a folder"):
        image_folder.load(str(folder), seed=0)


def test_classes_must_agree(folder):
    (folder / "test" / "red").rename(folder / "test" / "green")
    with pytest.raises(ValueError, match=r"found \['blue', 'red'\] and \['blue', 'green'\]"):
        image_folder.load(str(folder), seed=0)


def test_a_single_class_is_refused(folder):
    for half in ("train", "test"):
        for path in (folder / half / "red").iterdir():
            path.unlink()
        (folder / half / "red").rmdir()
    with pytest.raises(ValueError, match="two or more classes"):
        image_folder.load(str(folder), seed=0)


def test_a_class_without_images_is_named(folder):
    for path in (folder / "train" / "red").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"train holds no images of some class .*red"):
        image_folder.load(str(folder), seed=0)


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="train holds no images"):
        image_folder.load(str(tmp_path), seed=0)


def test_an_unreadable_image_is_named(folder):
    (folder / "train" / "red" / "3.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"red/3\.png cannot be read as an image"):
        image_folder.load(str(folder), seed=0)


@pytest.mark.parametrize("share", [-0.1, 0, 1, 1.5])
def test_a_share_outside_zero_to_one_is_refused(folder, share):
    with pytest.raises(ValueError, match=f"validation={share} must lie between 0 and 1"):
        image_folder.load(str(folder), validation=share, seed=0)


def test_its_configuration_loads_it(folder, configured):
    data = configured("image_folder", path=str(folder))
    assert data.name == "image_folder"
    assert data.shape == (3, 32, 32)
    assert len(data.val) == 2
