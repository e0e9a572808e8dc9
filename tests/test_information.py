from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attrpriors.attribution import Gradient, IntegratedGradients, Random
from attrpriors.data import Dataset
from attrpriors.evaluate import better, information
from attrpriors.evaluate.information import InformationCurves, curve, entropy, interpolated, random_mask
from attrpriors.evaluate.saliency import Grids, Saliency, insertion_and_deletion
from attrpriors.model import linear, pooled_cnn
from attrpriors.train.adversarial import Pixels

THRESHOLDS = (0.05, 0.2, 0.5)
UNIT = Pixels(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class ByPixel(nn.Module):
    """Sure of class 1 where the pixel at (3, 4) is bright, of class 0 elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        score = 100 * (x[:, 0, 3, 4] - 0.5)
        return torch.stack([-score, score], 1)


class ByMean(nn.Module):
    """The probability of class 1 is the mean of the image."""

    def forward(self, x: Tensor) -> Tensor:
        p = x.flatten(1).mean(1).clamp(1e-9, 1 - 1e-9)
        return torch.stack([(1 - p).log(), p.log()], 1)


# The parts of the curves


def test_the_random_mask_keeps_its_share_of_the_pixels_and_the_corners() -> None:
    mask = random_mask(40, 50, 0.1, seeded())
    assert mask[0, 0]
    assert mask[0, -1]
    assert mask[-1, 0]
    assert mask[-1, -1]
    assert 200 <= mask.sum() <= 204
    assert random_mask(5, 5, 0.01, seeded()).sum() == 4


def test_what_is_linear_between_the_known_pixels_is_given_back_and_these_are_kept() -> None:
    image = np.add.outer(np.arange(8) * 10, np.arange(8) * 20).astype(np.uint8)[..., None].repeat(3, 2)
    corners = random_mask(8, 8, 0.0, seeded())
    np.testing.assert_array_equal(interpolated(image, corners), image)
    image[0, 0] = (200, 100, 0)
    filled = interpolated(image, corners)
    np.testing.assert_array_equal(filled[0, 0], image[0, 0])
    assert (filled[0, 1:7, 0] > filled[0, 1:7, 1]).all()
    everything = np.ones((8, 8), dtype=bool)
    np.testing.assert_array_equal(interpolated(image, everything), image)


def test_noise_takes_more_bytes_than_an_even_image() -> None:
    draws = np.random.default_rng(0)
    for channels in (1, 3):
        noise = draws.integers(0, 256, (32, 32, channels)).astype(np.uint8)
        assert entropy(noise) > 32 * 32 * channels > entropy(np.full_like(noise, 7))


def test_a_curve_goes_from_zero_through_its_points_to_one_and_never_falls() -> None:
    area = partial(np.trapezoid, x=information.X)
    assert area(curve(np.array([0.5]), np.array([0.5]))) == pytest.approx(0.5)
    assert area(curve(np.array([0.2, 0.6]), np.array([1.0, 0.3]))) == pytest.approx(0.9)  # 1 from 0.2 on
    assert area(curve(np.array([0.6, 0.2]), np.array([0.0, 0.0]))) == pytest.approx(0.2)  # in order of x
    assert (np.diff(curve(np.array([0.1, 0.4, 0.7]), np.array([0.9, -3.0, 5.0]))) >= 0).all()


# Information curves


def pictures(count: int = 3) -> tuple[Tensor, Tensor]:
    """Noise with dark corners in which the pixel (3, 4) is white, and dark all around."""
    x = torch.rand(count, 1, 12, 12, generator=seeded())
    x[:, :, ::11, ::11] = 0
    x[:, :, 1:6, 2:7] = 0
    x[:, :, 3, 4] = 1
    return x, torch.ones(count, dtype=torch.int64)


def curves(x: Tensor, y: Tensor, confidence: float = 0.8) -> InformationCurves:
    return InformationCurves(ByPixel(), x, y, UNIT, THRESHOLDS, 0.0, confidence, seeded())


def test_the_area_by_pixels_is_that_of_the_share_at_which_the_pixel_that_decides_is_given_back() -> None:
    x, y = pictures()
    measure = curves(x, y)
    maps = np.random.default_rng(0).random((3, 12, 12))
    maps[:, 3, 4] = 2
    first = dict(measure(maps))
    assert first["sic_by_pixels"] == pytest.approx(1 - 0.05 / 2)  # up to the first threshold, a straight line
    assert first["sic_by_pixels/pixels=0.05"] == pytest.approx(1)
    maps[:, 3, 4] = -1
    last = dict(measure(maps))
    assert last["sic_by_pixels"] == pytest.approx(0.5 / 2)  # from the last threshold on, a straight line
    assert last["sic_by_pixels/pixels=0.50"] == pytest.approx(0)
    for name in ("sic", "aic"):
        assert first[name] > last[name]
        assert first[f"{name}_skipped"] == last[f"{name}_skipped"] == 0


def test_the_curves_are_those_of_the_median_image() -> None:
    x, y = pictures()
    maps = np.random.default_rng(0).random((3, 12, 12))
    maps[:, 3, 4] = (2, 2, -1)
    assert dict(curves(x, y)(maps))["sic_by_pixels"] == pytest.approx(1 - 0.05 / 2)


def test_images_without_a_curve_are_counted_and_a_curve_of_no_image_has_no_row() -> None:
    x, y = pictures(4)
    y[0] = 0  # wrong: neither sure nor right
    x[1] = 1  # blurred it is as sure, and as small
    x[2, 0] = 0.45
    x[2, 0, 3, 4] = 0.506  # right, and not sure: a softmax of 0.76
    rows = dict(curves(x, y)(np.random.default_rng(0).random((4, 12, 12))))
    assert rows["sic_skipped"] == rows["sic_by_pixels_skipped"] == 3
    assert rows["aic_skipped"] == 2
    none = dict(curves(x[:1], y[:1])(np.zeros((1, 12, 12))))
    assert none == {"sic_skipped": 1, "aic_skipped": 1, "sic_by_pixels_skipped": 1}


# Insertion and deletion


def test_areas_of_insertion_and_deletion_where_one_pixel_decides() -> None:
    x, y = pictures()
    maps = torch.rand(3, 12, 12, generator=seeded())
    maps[:, 3, 4] = 2
    rows = dict(insertion_and_deletion(ByPixel(), x, y, torch.zeros_like(x), maps, steps=4))
    assert rows["insertion"] == pytest.approx(1 - 0.25 / 2)
    assert rows["deletion"] == pytest.approx(0.25 / 2)
    assert rows["insertion/pixels=0.25"] == pytest.approx(1)
    assert rows["deletion/pixels=0.00"] == pytest.approx(1)


def test_areas_are_a_half_where_every_pixel_counts_alike() -> None:
    x = torch.ones(2, 1, 8, 8)
    maps = torch.zeros(2, 8, 8)  # ties go by place
    rows = dict(insertion_and_deletion(ByMean(), x, torch.ones(2).long(), torch.zeros_like(x), maps, steps=16))
    assert rows["insertion"] == pytest.approx(0.5, abs=1e-6)
    assert rows["deletion"] == pytest.approx(0.5, abs=1e-6)
    assert rows["deletion/pixels=0.25"] == pytest.approx(0.75)


# The pointing game


def test_a_grid_shows_four_test_images_of_which_one_is_of_its_class(images: Dataset) -> None:
    torch.manual_seed(0)
    grids = Grids.of(pooled_cnn(images, [4], 3), images, 5, seeded())
    assert grids.x.shape == (5, 1, 16, 16)
    for grid, label, quarter in zip(grids.x, grids.y, grids.quarter, strict=True):
        parts = [grid[:, i : i + 8, j : j + 8] for i in (0, 8) for j in (0, 8)]
        found = [images.test.y[(images.test.x == part).flatten(1).all(1)] for part in parts]
        assert [int(one) == int(label) for one in found] == [i == int(quarter) for i in range(4)]


def test_a_map_hits_by_the_share_of_its_strongest_pixels_in_the_quarter_of_the_class() -> None:
    maps = torch.zeros(4, 8, 8)
    maps[:, 4:, :4] = 1  # below, left
    maps[:, 4:, 4:] = 0.5
    grids = Grids(torch.empty(0), torch.empty(0), torch.arange(4), torch.empty(0))
    assert grids.hit(maps, 0.25) == pytest.approx(1 / 4)  # of four grids the third
    assert grids.hit(maps, 0.5) == pytest.approx((1 / 2 + 1 / 2) / 4)
    assert Grids(torch.empty(0), torch.empty(0), torch.full((4,), 2), torch.empty(0)).hit(maps, 0.1) == 1


def test_a_network_for_one_size_of_images_has_no_pointing_game(images: Dataset) -> None:
    with pytest.raises(ValueError, match=r"images of \(16, 16\), twice the size .* choose model=pooled_cnn"):
        Grids.of(linear(images), images, 2, seeded())


# The whole evaluation


def saliency(methods: dict[str, Callable], **changed: object) -> Saliency:
    settings = {"explained": 6, "thresholds": THRESHOLDS, "fraction": 0.01, "confidence": 0.2, "baseline": "mean"}
    settings |= {"steps": 4, "grids": 3, "top": 0.1, "absolute": ["gradient"], "generator": seeded()}
    return Saliency(methods, **(settings | changed))  # type: ignore[arg-type]


METHODS: dict[str, Callable] = {"gradient": Gradient, "random": Random, "path": partial(IntegratedGradients, "mean")}


def test_every_method_is_measured_and_no_method_moves_another(images: Dataset) -> None:
    torch.manual_seed(0)
    model = pooled_cnn(images, [4, 6], 3)
    rows, arrays = saliency(METHODS)(model, images)
    assert {row[2]["explain"] for row in rows} == set(METHODS)  # type: ignore[misc]
    assert all(better(row[0]) and np.isfinite(row[1]) for row in rows)
    assert len({(row[0], row[2]["explain"]) for row in rows}) == len(rows)  # type: ignore[misc]
    two = {name: METHODS[name] for name in ("random", "gradient")}
    fewer, _ = saliency(two)(model, images)
    assert sorted(map(str, fewer)) == sorted(str(row) for row in rows if row[2]["explain"] in two)  # type: ignore[misc]
    assert list(arrays["methods"]) == list(METHODS)
    assert arrays["maps"].shape == (3, *arrays["image"][:, 0].shape)
    assert (arrays["maps"][0] >= 0).all()  # the gradient's absolute values
    assert (arrays["maps"][1] < 0).any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"explained": 0}, "evaluate.explained is a whole number, 1 or more; found 0"),
        ({"top": 0.0}, "thresholds, fraction, confidence and top are between 0 and 1"),
        ({"absolute": ["gradients"]}, "evaluate.absolute is of gradient, random, path; found gradients"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        saliency(METHODS, **changed)


def test_what_is_no_image_of_a_class_is_refused(images: Dataset, binary: Dataset) -> None:
    with pytest.raises(ValueError, match="saliency needs images"):
        saliency(METHODS)(linear(binary), binary)
    with pytest.raises(ValueError, match="saliency needs classes; images has the output 'regression'"):
        saliency(METHODS)(linear(images), replace(images, output="regression"))
