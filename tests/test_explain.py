"""A saved model explains rows by itself: `python run.py explain=NAME checkpoint=FOLDER`."""

import json
import re
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from command import NARROW, RULER, command
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from attrpriors.attribution import ExpectedGradients
from attrpriors.data import Dataset
from attrpriors.evaluate import Evaluation
from attrpriors.figure import canvas
from attrpriors.record import stream, verified

TABLE = ["row", "prediction", "score", "feature", "value", "attribution", "standard_error"]


@pytest.fixture(autouse=True)
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "METADATA", {"png": {}})
    monkeypatch.setitem(canvas.STYLE, "savefig.dpi", 50)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of the time."""
    monkeypatch.setattr(canvas, "save", lambda figure, stem: None)


class Seen:
    """The folder of a run, and the model and the data that it had in memory."""

    folder: Path
    model: nn.Module
    data: Dataset


def trained(folder: Path, *arguments: str) -> Seen:
    seen, whole = Seen(), Evaluation.__call__

    def evaluate(self: Evaluation, model: nn.Module, data: Dataset, explain: ExpectedGradients) -> object:
        seen.model, seen.data = model, data
        return whole(self, model, data, explain)

    with mock.patch.object(Evaluation, "__call__", evaluate):
        result = command(*arguments, *RULER, "train.epochs=2", f"results={folder}")
    assert result.status == 0, result.text
    seen.folder = next(folder.glob("own/*=*"))
    return seen


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cost that age and city decide, of 60 people, some without an age."""
    draws = np.random.default_rng(0)
    age, city = draws.integers(20, 80, 60).astype(float), np.where(np.arange(60) % 2, "Oslo", "Bergen")
    frame = pd.DataFrame({"age": age, "city": city, "cost": 1000 + 10 * age + 50 * (city == "Oslo")})
    frame.loc[::9, "age"] = np.nan
    path = tmp_path_factory.mktemp("own") / "table.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(table: Path) -> Seen:
    """A run on the table, in a folder with commas and equals signs in its name."""
    settings = ["data=csv", f"data.path={table}", "data.target=cost", *NARROW["mlp"]]
    return trained(table.parent / "results", *settings)


def explained(run: Seen, *arguments: str) -> tuple[Path, pd.DataFrame]:
    """The folder that the last line names, and its table."""
    result = command(*arguments, f"checkpoint={run.folder}")
    assert result.status == 0, result.text
    folder = Path(result.text.splitlines()[-1].removeprefix("attributions: "))
    return folder, pd.read_csv(folder / "attributions.csv")


@pytest.mark.usefixtures("undrawn")
def test_the_model_of_a_run_is_kept_whole_and_only_where_it_is_asked_for(run: Seen, tmp_path: Path) -> None:
    weights = load_file(run.folder / "weights.safetensors")
    state = run.model.state_dict()
    assert all(torch.equal(weights[name], state[name]) for name in weights.keys() | state.keys())
    path = run.data.provenance.name
    settings = ["data=csv", f"data.path={run.folder.parents[2] / path}", "data.target=cost", *NARROW["mlp"]]
    without = trained(tmp_path, *settings, "weights=false")
    assert without.folder.name == run.folder.name
    for name in ("rows.csv", "history.csv", "arrays.npz"):
        assert (without.folder / name).read_bytes() == (run.folder / name).read_bytes()
    assert not {"weights.safetensors", "config.yaml"} & {path.name for path in without.folder.iterdir()}
    assert command(f"checkpoint={without.folder}").text.startswith(f"checkpoint={without.folder}: failed: ")


def test_attributions_from_a_checkpoint_are_those_of_the_model_in_memory(run: Seen) -> None:
    folder, table = explained(run, "rows=[0,4]")
    assert list(table) == TABLE
    assert {path.name for path in folder.iterdir()} == {"attributions.csv", "figure.png", "manifest.json"}
    x, outcome = run.data.test.x[[0, 4]], run.data.outcome
    ruler = ExpectedGradients(run.data.train.x, k=5, estimator="controlled", generator=stream(0, "explain"))
    with torch.no_grad():
        phi, error = ruler.estimate(run.model.eval(), x)
        score = run.model(x).squeeze(1)
    spread = float(outcome.spread)
    np.testing.assert_allclose(table["attribution"], spread * phi.flatten(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(table["standard_error"], spread * error.flatten(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(table["score"][:: x.shape[1]], outcome.centre + spread * score, rtol=1e-5)
    assert list(table["prediction"]) == list(table["score"])
    assert list(table["feature"]) == [*run.data.features] * 2
    assert list(table["row"].unique()) == list(run.data.test.unit[[0, 4]])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["run"], manifest["explain"], manifest["rows"]) == (run.folder.name, "ruler_100", "[0, 4]")
    assert verified(run.folder)  # what is explained leaves the record as it was


@pytest.mark.usefixtures("undrawn")
def test_new_rows_are_explained_as_the_same_rows_of_the_test_part(run: Seen, table: Path, tmp_path: Path) -> None:
    whole = pd.read_csv(table)
    path = tmp_path / "new, it's 3 rows.csv"
    whole.iloc[run.data.test.unit[:3]].drop(columns="cost").to_csv(path, index=False)
    _, new = explained(run, "explain=integrated_gradients", f"rows={path}")
    _, test = explained(run, "explain=integrated_gradients", "explain.steps=50", "rows=[0,1,2]")
    pd.testing.assert_frame_equal(new.drop(columns="row"), test.drop(columns="row"))
    assert new["standard_error"].isna().all()  # integrated gradients draw nothing
    age = whole["age"].iloc[run.data.test.unit[:3]]
    told = new.loc[new["feature"] == "age", "value"].to_numpy()
    np.testing.assert_allclose(told[age.notna()], age.dropna(), rtol=1e-5)
    assert set(new.loc[new["feature"] == "city=Oslo", "value"]) <= {0, 1}


@pytest.mark.usefixtures("undrawn")
def test_without_rows_test_rows_are_explained_spread_over_the_part(run: Seen) -> None:
    _, table = explained(run)
    assert list(table["row"].unique()) == list(run.data.test.unit)
    _, few = explained(run, "rows=3", "explain.k=2")
    assert list(few["row"].unique()) == list(run.data.test.unit[[0, 4, 8]])


def test_several_rows_of_one_person_keep_their_own_lines_and_panels(table: Path, tmp_path: Path) -> None:
    people = pd.read_csv(table).assign(person=np.arange(60) // 3)
    people.to_csv(tmp_path / "people.csv", index=False)
    settings = ["data=csv", f"data.path={tmp_path / 'people.csv'}", "data.target=cost", "data.id=person"]
    run = trained(tmp_path / "results", *settings, *NARROW["mlp"])
    people[:4].to_csv(tmp_path / "new.csv", index=False)
    _, told = explained(run, f"rows={tmp_path / 'new.csv'}", "explain.k=2")
    assert list(told["row"].unique()) == ["0, row 0", "0, row 1", "0, row 2", "1, row 3"]
    _, test = explained(run, "rows=[0,1]", "explain.k=2")
    person = run.data.test.unit[0]
    assert list(test["row"].unique()) == [f"{person}, row 0", f"{person}, row 1"]


def test_images_are_explained_from_a_folder_or_by_their_number(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(15):
            pixels = draws.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    settings = ["data=image_folder", f"data.path={tmp_path / 'images'}", "data.size=8", "model=cnn", *NARROW["cnn"]]
    run = trained(tmp_path / "results", *settings)
    _, test = explained(run, "rows=[2]", "explain=integrated_gradients")
    folder, new = explained(
        run, f"rows={tmp_path / 'images' / run.data.test.unit[2]}", "explain=integrated_gradients", "device=cpu"
    )
    assert len(new) == 3 * 8 * 8
    assert set(new["prediction"]) <= {"cat", "dog"}
    assert list(new["feature"][[0, 1, 8, 64]]) == ["0,0,0", "0,0,1", "0,1,0", "1,0,0"]
    pd.testing.assert_frame_equal(new.drop(columns="row"), test.drop(columns="row"))
    pixels = np.asarray(Image.open(tmp_path / "images" / run.data.test.unit[2]))
    np.testing.assert_allclose(new["value"], pixels.transpose(2, 0, 1).flatten(), atol=1e-3)
    assert (folder / "figure.png").stat().st_size > 1000


def refusal(*arguments: str) -> str:
    """What a command that fails says, in its last line; without a traceback."""
    result = command(*arguments)
    assert result.status == 1
    assert "Traceback" not in result.text
    return result.text.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["seed=3"], "seed is a setting of the run itself; beside checkpoint stand explain, rows, device"),
        (["model.hidden=[9]"], "model.hidden is a setting of the run itself"),
        (["explain.k=0"], "k is a whole number, 1 or more; found 0"),
        (["explain=gradients"], "Could not find 'attribution/gradients'|Could not load 'attribution/gradients'"),
        (["rows=nowhere.csv"], r"nowhere\.csv is missing: expected a CSV file"),
        (["rows=[9]"], r"rows is a file, a list of test rows from 0 to 8, or how many; found \[9\]"),
        (["rows=0"], "rows is a file, .*; found 0"),
        (["data=csv", "data.path=nowhere.csv"], r"nowhere\.csv is missing"),
    ],
)
def test_what_does_not_go_with_a_checkpoint_is_refused_in_a_sentence(run: Seen, arguments, sentence) -> None:
    result = command(*arguments, f"checkpoint={run.folder}")
    assert result.status == 1
    assert "Traceback" not in result.text
    assert re.search(sentence, result.text), result.text


def test_a_folder_that_holds_no_saved_model_is_refused_in_a_sentence(run: Seen, tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path}/nowhere" in refusal(f"checkpoint={tmp_path}/nowhere")
    assert "does not hold a finished and undamaged run" in refusal(f"checkpoint={tmp_path}")
    for name, damage in (("weights.safetensors", "cut"), ("config.yaml", "gone"), ("manifest.json", "gone")):
        copy = shutil.copytree(run.folder, tmp_path / f"{name},{damage}=1")
        if damage == "cut":
            (copy / name).write_bytes((copy / name).read_bytes()[:-1])
        else:
            (copy / name).unlink()
        assert "does not hold a finished and undamaged run" in refusal(f"checkpoint={copy}")
    copy = shutil.copytree(run.folder, tmp_path / "seed=0..1")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"members": [{"seed": 0}, {"seed": 1}]}))
    assert "2 networks trained together, of which none is kept" in refusal(f"checkpoint={copy}")


@pytest.mark.usefixtures("undrawn")
def test_data_that_have_changed_since_are_refused_and_moved_data_are_named(run: Seen, table: Path, tmp_path) -> None:
    content = table.read_text()
    moved = tmp_path / "moved.csv"
    moved.write_text(content)
    _, one = explained(run, "data=csv", f"data.path={moved}", "rows=[0]")
    _, other = explained(run, "rows=[0]")
    pd.testing.assert_frame_equal(one, other)
    moved.write_text(content.replace("Oslo", "Rome", 1))
    said = refusal("data=csv", f"data.path={moved}", f"checkpoint={run.folder}")
    assert said.endswith("the data are not those that the model was trained on: moved.csv")


def test_a_sweep_over_a_checkpoint_is_refused(run: Seen) -> None:
    assert "explained by a command of its own, found a sweep" in refusal("-m", "rows=1,2", f"checkpoint={run.folder}")
