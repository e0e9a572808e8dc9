"""Image folders of one's own, made up in a temporary folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from command import NARROW, RULER, command
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


def test_images_of_16_bits_keep_their_upper_eight_and_those_of_32_are_refused(folder):
    grey = np.arange(0, 240, 10, dtype=np.uint16).reshape(4, 6)
    path = folder / "train" / "red" / "0.png"
    found = []
    for image in (Image.fromarray(grey.astype(np.uint8)), Image.fromarray(256 * grey + 77)):
        image.save(path)
        found.append(image_folder.resized(path, path.read_bytes(), 6))
    np.testing.assert_array_equal(*found)
    assert found[0].std() > 0
    path = folder / "train" / "red" / "0.tif"
    Image.fromarray(grey.astype(np.float32)).save(path)
    with pytest.raises(ValueError, match=r"0\.tif has 32 bits a pixel; expected 8 or 16"):
        image_folder.load(str(folder), seed=0)


def test_the_checksum_of_a_part_changes_with_any_image_in_it(folder):
    before = image_folder.load(str(folder), seed=0).provenance.files
    Image.new("RGB", (6, 4), (1, 2, 3)).save(folder / "test" / "red" / "0.png")
    after = image_folder.load(str(folder), seed=0).provenance.files
    assert after["train"] == before["train"]
    assert after["test"] != before["test"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a folder; .* train/ and test/"):
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


@pytest.fixture
def unsplit(folder: Path) -> Path:
    """The same 20 training images without train/ and test/."""
    return (folder / "train").rename(folder / "unsplit")


def test_classes_alone_are_split_by_seed_with_equal_shares(unsplit):
    data, again, other = (image_folder.load(str(unsplit), validation=0.25, seed=seed) for seed in (0, 0, 1))
    for part, count in zip(data.parts.values(), (6, 2, 2), strict=True):
        assert part.y.bincount().tolist() == [count] * 2
        assert [name.split("/")[0] for name in part.unit] == [data.classes[y] for y in part.y]
    assert torch.equal(data.test.x, again.test.x)
    assert set(data.test.unit) != set(other.test.unit)
    assert set(data.provenance.files) == {"train"}


def test_val_stays_val_where_it_is_there(folder):
    for name in COLOURS:
        (folder / "val" / name).mkdir(parents=True)
        (folder / "train" / name / "9.png").rename(folder / "val" / name / "9.png")
    data = image_folder.load(str(folder), seed=0)
    assert list(data.val.unit) == ["val/blue/9.png", "val/red/9.png"]
    assert len(data.train) == 18
    assert set(data.provenance.files) == {"train", "val", "test"}


def test_new_images_of_any_folder_are_read_as_the_training_images_were(folder, tmp_path):
    data = image_folder.load(str(folder), seed=0)
    part, row = next((part, i) for part in data.parts.values() for i, name in enumerate(part.unit) if "red/7" in name)
    new = data.read(str(folder / "train"))
    assert len(new.unit) == 20
    assert torch.equal(new.x[list(new.unit).index("red/7.png")], part.x[row])
    alone = data.read(str(folder / "train" / "red" / "7.png"))
    assert list(alone.unit) == ["7.png"]
    assert torch.equal(alone.x[0], part.x[row])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty is no image and no folder that holds images"):
        data.read(str(tmp_path / "empty"))


def test_an_image_is_turned_as_its_camera_says(folder):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:2] = 200  # bright above; turned by a quarter, bright on one side
    tag = Image.Exif()
    tag[274] = 6  # to be turned clockwise
    Image.fromarray(pixels).save(folder / "train" / "red" / "0.jpg", exif=tag)
    data = image_folder.load(str(folder), size=8, seed=0)
    image = data.read(str(folder / "train" / "red" / "0.jpg")).x[0, 0]
    assert image[:, 7].mean() > image[:, 0].mean() + 1
    assert float(image[0, 7]) == pytest.approx(float(image[7, 7]), abs=0.2)


def test_a_channel_that_is_the_same_everywhere_is_centred(folder):
    for path in folder.rglob("*.png"):
        Image.fromarray(np.array(Image.open(path)) * np.array([1, 0, 1], np.uint8)).save(path)
    assert image_folder.load(str(folder), seed=0).train.x[:, 1].abs().max() == 0


@pytest.mark.parametrize("size", [0, 8.5, True])
def test_a_size_that_is_no_number_of_pixels_is_refused(folder, size):
    with pytest.raises(ValueError, match=f"size is a number of pixels, 1 or more; found {size}"):
        image_folder.load(str(folder), size=size, seed=0)


def test_too_few_images_of_a_class_are_refused_in_a_sentence(unsplit):
    for path in list((unsplit / "red").iterdir())[1:]:
        path.unlink()
    with pytest.raises(ValueError, match=r"unsplit has too few images to split \(11\): The least populated class"):
        image_folder.load(str(unsplit), seed=0)


def test_a_run_with_the_prior_of_images_trains_on_them(folder, tmp_path):
    own = ["data=image_folder", f"data.path={folder}", "data.size=8", "model=cnn", "prior=total_variation"]
    result = command(*own, *NARROW["cnn"], *RULER, "train.epochs=1", f"results={tmp_path / 'results'}")
    assert result.status == 0, result.text
    rows = pd.read_csv(next((tmp_path / "results").rglob("rows.csv")))
    assert {"accuracy", "total_variation", "completeness_error"} <= set(rows["metric"])


def test_its_configuration_loads_it(folder, configured):
    data = configured("image_folder", path=str(folder))
    assert data.name == "image_folder"
    assert data.shape == (3, 32, 32)
    assert len(data.val) == 2
