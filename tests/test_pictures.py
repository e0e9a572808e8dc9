"""Figures of the image experiments, from made-up rows and arrays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from attrpriors import figure
from attrpriors.figure.canvas import COLOURS, Place
from attrpriors.record import ARRAYS
from attrpriors.table import summarise
from attrpriors.table.runs import Runs

LABELS = ["data", "source", "model", "attribution", "prior", "weight"]
FIXED = {"data": "digits", "source": "real", "model": "cnn", "attribution": "eg", "member": -1}


def made(folder: Path, values: dict[tuple[str, float], dict[str, list[float]]]) -> Place:
    """(prior, weight) -> metric -> a value a seed, as the runs of a place."""
    rows = pd.DataFrame(
        {"prior": prior, "weight": weight, "seed": seed, "metric": metric, "value": value, **FIXED}
        | {"method": prior + f", weight={weight:g}" * bool(weight), "setting": f"prior={prior},{weight:g},seed={seed}"}
        for (prior, weight), metrics in values.items()
        for metric, seeds in metrics.items()
        for seed, value in enumerate(seeds)
    )
    failed = pd.DataFrame(columns=[*LABELS, "method"])
    return Place(folder, "digits", rows, summarise(Runs(folder, LABELS, rows, failed, [])))


def keep(place: Place, **arrays: np.ndarray) -> None:
    """Give every run the same arrays."""
    for runs in place.runs.values():
        for folder, _ in runs:
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(folder / ARRAYS, **arrays)


def tried(
    free: float, path: dict[float, float], **more: list[float]
) -> dict[tuple[str, float], dict[str, list[float]]]:
    """Validation accuracies without a prior, and by its weight: of two seeds, a hundredth apart."""
    spread = {("none", 0.0): free} | {("smooth", weight): value for weight, value in path.items()}
    return {key: {"validation_accuracy": [value - 0.005, value + 0.005], **more} for key, value in spread.items()}


# Accuracy under noise


def test_the_intervals_of_many_methods_are_whiskers_side_by_side(tmp_path: Path) -> None:
    methods = {f"prior {i}": 0.5 + i / 10 for i in range(4)}
    place = made(
        tmp_path,
        {
            (name, 0.0): {"accuracy": [0.9, 0.9]} | {f"accuracy/gaussian={s}": [v - 0.01, v + 0.01] for s in (1, 2)}
            for name, v in methods.items()
        },
    )
    picture = figure.noise(place)
    assert picture is not None
    (axis,) = picture.axes
    assert "whiskers" in picture.get_suptitle()
    assert [line.get_label() for line in axis.containers] == list(methods)
    places = []
    for bars, value in zip(axis.containers, methods.values(), strict=True):
        line, _, (whiskers,) = bars
        np.testing.assert_allclose(line.get_ydata().astype(float), [0.9, value, value])
        low, high = whiskers.get_segments()[1][:, 1]
        assert (high - value, value - low) == pytest.approx((0.127062, 0.127062), abs=1e-6)  # 12.7062 * 0.01
        places.append(line.get_xdata().astype(float))
    assert np.ptp(places, axis=0) == pytest.approx([0.6] * 3)
    assert np.mean(places, axis=0) == pytest.approx([0, 1, 2])
    assert len({line.lines[0].get_marker() for line in axis.containers}) == 4


# Maps and noisy images


def test_maps_bear_the_names_of_their_classes(tmp_path: Path) -> None:
    place = made(tmp_path, {("none", 0.0): {"accuracy": [0.9]}, ("smooth", 1.0): {"accuracy": [0.9]}})
    image = np.random.default_rng(0).random((2, 1, 4, 4))
    keep(place, image=image, phi=image - 0.5, **{"class": np.array(["cat", "dog"])})
    picture = figure.maps(place)
    assert picture is not None
    assert [axis.get_title() for axis in picture.axes[:6]] == ["cat", "dog", "", "", "", ""]


def test_a_noisy_image_has_each_methods_answer_below_it_and_wrong_ones_stand_out(tmp_path: Path) -> None:
    place = made(tmp_path, {("none", 0.0): {"accuracy": [0.9]}, ("smooth", 1.0): {"accuracy": [0.9]}})
    image = np.linspace(0, 1, 16).reshape(1, 4, 4)
    levels = ["", "gaussian=0.5", "gaussian=1", "salt_and_pepper=0.1"]
    noisy = np.stack([image, image + 1, image - 1, image])
    keep(place, noisy=noisy, level=np.array(levels), predicted=np.array([*"7717"]), noisy_class=np.array("7"))
    picture = figure.noisy(place)
    assert picture is not None
    above, below = picture.axes[:3], picture.axes[3:]
    assert [axis.get_title() for axis in above] == ["0", "0.5", "1"]
    assert [axis.get_title() for axis in below] == ["0", "0.1", ""]
    assert above[0].texts[0].get_text() == "gaussian"
    said = [[(text.get_text(), text.get_color()) for text in axis.texts[-2:]] for axis in above]
    assert said[1] == [("7", "0.3")] * 2
    assert said[2] == [("1", "#D55E00")] * 2
    np.testing.assert_allclose(above[1].images[0].get_array(), 1)  # beyond the image's range
    assert "class 7" in picture.get_suptitle()


def test_without_noise_there_is_no_noisy_image(tmp_path: Path) -> None:
    place = made(tmp_path, {("none", 0.0): {"accuracy": [0.9]}})
    keep(
        place, noisy=np.zeros((1, 1, 2, 2)), level=np.array([""]), predicted=np.array(["7"]), noisy_class=np.array("7")
    )
    assert figure.noisy(place) is None


# The path of strengths


def test_a_path_has_a_panel_a_metric_a_line_a_prior_and_a_ring_around_its_choice(tmp_path: Path) -> None:
    noisy = {f"validation_accuracy/gaussian={sd}": [v - 0.1, v + 0.1] for sd, v in ((0.1, 0.9), (1, 0.3), (0.5, 0.7))}
    more = noisy | {"validation_total_variation": [500.0, 600.0], "validation_log_loss": [0.1, 0.1]}
    place = made(tmp_path, tried(0.99, {1e-3: 0.985, 1e-4: 0.99, 1e-2: 0.9}, **more))
    picture = figure.path(place)
    assert picture is not None
    names = ["validation accuracy", "validation accuracy,\ngaussian 0.5", "validation total variation"]
    assert [axis.get_ylabel() for axis in picture.axes] == names  # 0.7 is less than three quarters of 0.99, 0.9 is not
    assert {axis.get_xscale() for axis in picture.axes} == {"log"}
    free, _, _, limit, runs, curve, ring = picture.axes[0].lines
    assert (free.get_ydata()[0], limit.get_ydata()[0]) == pytest.approx((0.99, 0.98))
    np.testing.assert_allclose(curve.get_xydata(), [[1e-4, 0.99], [1e-3, 0.985], [1e-2, 0.9]])
    np.testing.assert_allclose(ring.get_xydata(), [[1e-3, 0.985]])
    assert sorted(runs.get_ydata()) == pytest.approx([0.895, 0.905, 0.98, 0.985, 0.99, 0.995])
    assert to_hex(curve.get_color()) == COLOURS[1].lower()
    (legend,) = picture.legends
    assert [text.get_text() for text in legend.get_texts()] == ["none", "lowest accuracy allowed", "smooth"]


def test_priors_of_a_path_stand_side_by_side_with_intervals_of_three_runs_or_more(tmp_path: Path) -> None:
    values = {(prior, weight): {"validation_accuracy": [0.98, 0.99, 1.0]} for prior in "ab" for weight in (1.0, 10.0)}
    picture = figure.path(made(tmp_path, {("none", 0.0): {"validation_accuracy": [0.98, 0.99, 1.0]}} | values))
    assert picture is not None
    (axis,) = picture.axes
    one, other = axis.containers
    np.testing.assert_allclose(one[0].get_xdata().astype(float) * other[0].get_xdata().astype(float), [1, 100])
    assert (one[0].get_xdata().astype(float) < other[0].get_xdata().astype(float)).all()
    low, high = one[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.99 - 0.0248414, 0.99 + 0.0248414), abs=1e-6)  # 4.3027 * 0.01 / sqrt(3)
    assert axis.patches  # the band of the prior-free runs


def test_a_prior_of_one_strength_has_no_path(tmp_path: Path) -> None:
    assert figure.path(made(tmp_path, tried(0.99, {1e-3: 0.99}))) is None


def test_other_figures_show_of_several_strengths_the_chosen_ones(tmp_path: Path) -> None:
    place = made(tmp_path, tried(0.99, {1e-3: 0.985, 1e-2: 0.9}) | {("other", 5.0): {"validation_accuracy": [0.9]}})
    shown = figure.without_unchosen(place)
    assert list(shown.runs) == ["none", "smooth, weight=0.001", "other, weight=5"]
    assert list(shown.table["method"].unique()) == list(shown.runs)
