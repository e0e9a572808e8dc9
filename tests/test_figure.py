"""Pictures show the numbers of the runs, and only what there is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from omegaconf import DictConfig

from attrpriors import figure
from attrpriors.data import Provenance
from attrpriors.figure import canvas, grid
from attrpriors.figure.canvas import Place
from attrpriors.record import Outcome
from attrpriors.table import collect, summarise
from attrpriors.table.runs import PLACE, read

OWN = Path("results/own")
FIGURES = OWN / "figures"


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(canvas.STYLE, "savefig.dpi", 50)


def place() -> Place:
    runs = read(OWN)
    return Place(OWN, "made up", runs.rows, summarise(runs))


def drawn() -> set[str]:
    return {path.name for path in FIGURES.iterdir()}


def test_every_family_gets_its_figures_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "METADATA", {"png": {}})  # a format is enough: drawing takes long
    for data in ("digits", "survey", "drugs"):
        for prior in ("none", "gini"):
            tiny.run(f"data={data}", f"prior={prior}", mode="MULTIRUN")  # one run: no interval, and no warning
    collect(OWN)
    kinds = {"digits": ("noise", "maps", "scores", "history"), "survey": ("lorenz", "features", "scores", "history")}
    kinds |= {"drugs": ("scores", "history")}
    expected = {f"{kind}_{data}_linear" for data, some in kinds.items() for kind in some}
    assert drawn() == {f"{name}.png" for name in expected}


def test_the_same_runs_give_the_same_pictures_in_every_format_to_the_byte_and_old_ones_go() -> None:
    for seed in range(2):
        tiny.run("data=drugs", f"seed={seed}", mode="MULTIRUN")
    FIGURES.mkdir()
    (FIGURES / "noise_mnist_cnn.png").touch()
    (FIGURES / "drawn_by_hand.png").touch()
    collect(OWN)
    assert "noise_mnist_cnn.png" not in drawn()
    assert "drawn_by_hand.png" in drawn()
    assert {path.suffix for path in FIGURES.glob("scores_drugs_linear.*")} == {".png", ".pdf", ".svg"}
    assert (FIGURES / "scores_drugs_linear.png").read_bytes().startswith(b"\x89PNG")
    assert (FIGURES / "scores_drugs_linear.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (FIGURES / "scores_drugs_linear.svg").read_bytes()
    first = {path.name: path.read_bytes() for path in FIGURES.iterdir()}
    collect(OWN)
    assert {path.name: path.read_bytes() for path in FIGURES.iterdir()} == first


def test_accuracy_against_noise_starts_at_the_plain_accuracy_and_follows_the_levels() -> None:
    def task(cfg: DictConfig) -> Outcome:
        rows = [("accuracy/gaussian=1.0", 0.2), ("accuracy/gaussian=0.1", 0.8), ("accuracy", 0.9 + 0.02 * cfg.seed)]
        return Outcome(rows, pd.DataFrame(), {}, Provenance("rows"), 1)

    for seed in range(2):
        tiny.run(f"seed={seed}", task=task, mode="MULTIRUN")
    picture = figure.noise(place())
    assert picture is not None
    (axis,) = picture.axes
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[0, 0.91], [0.1, 0.8], [1, 0.2]])
    band = axis.collections[0].get_paths()[0].vertices  # of 0.90 and 0.92: 0.91 +- 12.7062 * 0.01
    assert band[:, 1].max() == pytest.approx(0.91 + 0.127062, abs=1e-6)


def test_a_lorenz_curve_is_the_share_of_the_least_important_features() -> None:
    def task(cfg: DictConfig) -> Outcome:
        arrays = {"importance": np.array([4.0, 1.0, 3.0, 2.0]), "features": np.array(list("abcd"))}
        return Outcome([("gini", 0.5)], pd.DataFrame(), arrays, Provenance("rows"), 1)

    tiny.run(task=task)
    lorenz = figure.lorenz(place())
    features = figure.features(place())
    assert lorenz is not None
    assert features is not None
    curve = lorenz.axes[0].lines[1].get_xydata()
    np.testing.assert_allclose(curve, [[0, 0], [25, 10], [50, 30], [75, 60], [100, 100]])
    bars = {round(bar.get_width()): bar.get_y() for bar in features.axes[0].patches}
    assert sorted(bars, key=bars.__getitem__) == [10, 20, 30, 40]  # the largest on top
    assert [label.get_text() for label in features.axes[0].get_yticklabels()] == ["b", "d", "c", "a"]


def test_maps_have_their_image_above_and_the_symmetric_scale_of_their_image() -> None:
    def task(cfg: DictConfig) -> Outcome:
        image = np.arange(2 * 1 * 2 * 2.0).reshape(2, 1, 2, 2)
        phi = np.stack([np.full((1, 2, 2), -3.0), np.full((1, 2, 2), 0.5)]) * (1 + cfg.prior.gain)
        return Outcome([("accuracy", 1.0)], pd.DataFrame(), {"image": image, "phi": phi}, Provenance("rows"), 1)

    for prior in ("none", "gini"):
        tiny.run(f"prior={prior}", task=task, mode="MULTIRUN")
    picture = figure.maps(place())
    assert picture is not None
    shown = [axis.images[0] for axis in picture.axes[:6]]
    assert [picture.axes[row].get_ylabel() for row in (0, 2, 4)] == ["image", "none", "gini"]
    np.testing.assert_allclose([image.get_clim() for image in shown[2:]], [(-3.9, 3.9), (-0.65, 0.65)] * 2)
    np.testing.assert_allclose(shown[0].get_array(), [[0, 1 / 3], [2 / 3, 1]])


def test_images_that_differ_between_methods_are_shown_above_each() -> None:
    def task(cfg: DictConfig) -> Outcome:
        image = np.full((1, 3, 2, 2), cfg.prior.gain) + np.eye(2)
        return Outcome([("accuracy", 1.0)], pd.DataFrame(), {"image": image, "phi": image}, Provenance("rows"), 1)

    for prior in ("none", "gini"):
        tiny.run(f"prior={prior}", task=task, mode="MULTIRUN")
    picture = figure.maps(place())
    assert picture is not None
    assert [axis.get_ylabel() for axis in picture.axes[:4]] == ["image", "none", "image", "gini"]


def test_scores_show_every_run_and_the_mean() -> None:
    for seed in range(3):
        tiny.run("data=drugs", f"seed={seed}", mode="MULTIRUN")
    here = place()
    picture = figure.scores(here)
    assert picture is not None
    for axis, metric in zip(picture.axes, ("r2", "graph_variation"), strict=True):
        values = here.rows[here.rows["metric"] == metric]["value"]
        np.testing.assert_allclose(sorted(axis.lines[0].get_xdata()), sorted(values))
        assert axis.lines[1].get_xdata()[0] == pytest.approx(values.mean())
    assert "lower is better" in picture.axes[1].get_xlabel()


def test_a_penalty_is_drawn_from_the_epoch_at_which_the_prior_is_switched_on() -> None:
    def task(cfg: DictConfig) -> Outcome:
        history = pd.DataFrame({"epoch": [1, 2, 3], "phase": ["plain", "prior", "prior"], "penalty": [0.0, 4.0, 2.0]})
        rows = [("r2", 0.5)]
        return Outcome(rows, history.assign(validation_r2=[0.1, 0.2, 0.3]), {}, Provenance("rows"), 1)

    tiny.run("prior=graph", task=task)
    picture = figure.history(place())
    assert picture is not None
    score, penalty = picture.axes
    np.testing.assert_allclose(score.lines[0].get_xydata(), [[1, 0.1], [2, 0.2], [3, 0.3]])
    np.testing.assert_allclose(penalty.lines[0].get_xydata(), [[2, 4], [3, 2]])
    assert penalty.get_ylabel() == "penalty of graph"


def test_many_methods_fit_on_a_picture_that_says_how_many_it_shows() -> None:
    for weight in range(1, 13):
        tiny.run("data=survey", "prior=gini", f"prior.weight={weight}", mode="MULTIRUN")
    here = place()
    assert len({tuple(style.values()) for style in here.styles.values()}) == 12
    picture = figure.features(here)
    assert picture is not None
    assert len(picture.axes) == 10
    assert "10 of 12 methods" in picture.get_suptitle()
    assert len(here.rows.groupby(PLACE)) == 1


def test_members_of_one_record_are_drawn_each_by_its_own_arrays_and_history() -> None:
    def together(cfg: DictConfig) -> Outcome:
        arrays = {"features": np.array([["a", "b"]] * 2), "importance": np.array([[3.0, 1.0], [1.0, 7.0]])}
        scores = {"validation_r2": [0.1, 0.2, 0.5, 0.4], "member": [0, 0, 1, 1]}
        history = pd.DataFrame({"epoch": [1, 2] * 2, "phase": "prior", "penalty": 0.0, **scores})
        labels = [{"seed": 4}, {"seed": 6}]
        rows = [("r2", 0.5, own) for own in labels]
        return Outcome(rows, history, arrays, Provenance("rows"), 1, labels)

    tiny.run("seed=[4,6]", task=together, mode="MULTIRUN")
    tiny.run("seed=5", task=lambda cfg: Outcome([("r2", 0.5)], pd.DataFrame(), {}, Provenance("rows"), 1))
    found = place()
    assert [member for _, member in found.runs["none"]] == [0, -1, 1]
    assert [array.tolist() for array in found.arrays("importance")["none"]] == [[3.0, 1.0], [1.0, 7.0]]
    assert [array.tolist() for array in found.arrays("features")["none"]] == [["a", "b"]] * 2
    drawing = figure.history(found)
    assert drawing is not None
    (line,) = drawing.axes[0].lines
    assert line.get_ydata() == pytest.approx([(0.1 + 0.5) / 2, (0.2 + 0.4) / 2])


def test_a_gain_along_the_sizes_is_paired_by_replicate() -> None:
    rows = [
        {"people": people, "comparator": name, "seed": seed, "roc_auc": 0.7 + 0.1 * seed + gain, "gini": 0.5}
        for people in (100, 50)
        for name, gain in (("none", 0.0), ("gini_eg", 2.0 / people))
        for seed in range(3)
    ]
    axes = grid.sizes("nhanes", pd.DataFrame(rows)).axes
    gain = {bars.get_label(): bars for bars in axes[1].containers}["gini_eg"]
    line, _, (whiskers,) = gain.lines
    assert line.get_xydata() == pytest.approx(np.array([[50, 0.04], [100, 0.02]]))
    assert [np.ptp(whisker[:, 1]) for whisker in whiskers.get_segments()] == pytest.approx([0, 0])  # all gain alike
    assert axes[0].containers[0].lines[0].get_ydata() == pytest.approx([0.8, 0.8])
