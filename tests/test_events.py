"""Training curves for TensorBoard are those of history.csv, and only where they are asked for."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
import tiny
from omegaconf import DictConfig

from attrpriors.data import Provenance
from attrpriors.record import Outcome, events

OWN = Path("results/own")


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value), as TensorBoard itself reads the event files of a folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder)).Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def found(column: pd.Series) -> list[tuple[int, float]]:
    return [(epoch, pytest.approx(value)) for epoch, value in column.items()]


def test_event_files_hold_every_curve_of_the_history_by_epoch() -> None:
    folder = tiny.run("prior=gini", "tensorboard=true") / "prior=gini,seed=0"
    history = pd.read_csv(folder / "history.csv").set_index("epoch")
    assert curves(folder) == {name: found(history[name]) for name in ("loss", "penalty", "validation_accuracy")}


def test_without_being_asked_there_are_none_and_a_finished_run_can_still_be_asked_for_them() -> None:
    folder = tiny.run() / "seed=0"
    assert list(folder.glob("events*")) == []
    for _ in range(2):  # the second ones take the place of the first
        tiny.run("tensorboard=true")
        assert len(list(folder.glob("events*"))) == 1
        assert len(curves(folder)["loss"]) == 3


def test_every_member_has_its_curves_in_a_folder_of_its_labels() -> None:
    def together(cfg: DictConfig) -> Outcome:
        history = pd.DataFrame({"epoch": [1, 2, 1], "loss": [0.5, 0.25, 0.75], "member": [0, 0, 1]})
        labels = [{"seed": 4, "weight": 0.5}, {"seed": 6, "weight": 0.5}]
        return Outcome([("r2", 0.5, own) for own in labels], history, {}, Provenance("rows"), 1, labels)

    folder = tiny.run("seed=[4,6]", "tensorboard=true", task=together) / "seed=[4,6]"
    assert curves(folder / "seed=4,weight=0.5") == {"loss": [(1, 0.5), (2, 0.25)]}
    assert curves(folder / "seed=6,weight=0.5") == {"loss": [(1, 0.75)]}
    assert curves(folder) == {}


def test_a_training_without_a_history_has_no_curves() -> None:
    task = lambda cfg: Outcome([("r2", 0.5)], pd.DataFrame(), {}, Provenance("rows"), 1)  # noqa: E731
    assert curves(tiny.run("tensorboard=true", task=task) / "seed=0") == {}


def test_without_tensorboard_the_run_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "find_spec", lambda name: importlib.util.find_spec("no_such_package"))
    with pytest.raises(SystemExit, match="failed: tensorboard=true needs the package tensorboard, found none: pip"):
        tiny.run("tensorboard=true")
    assert not (OWN / "seed=0" / "rows.csv").exists()
