"""`python run.py`: what a user types, what is printed, what is written, and what happens with bad input."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
import torch
from command import CONF, NARROW, ROOT, SMALL, command
from scipy import stats

from attrpriors.choices import GROUPS
from attrpriors.data import nhanes
from attrpriors.figure import canvas

HEALTH = [*SMALL["health_simulated"], *NARROW["mlp"], "train.epochs=2"]
FAMILY = {
    "gini": HEALTH,
    "total_variation": [*SMALL["mnist_5k"], *NARROW["cnn"], "train.epochs=1"],
    "graph": [*SMALL["drug_simulated"], *NARROW["mlp"], "train.epochs=1", "train.finetune=1"],
}
RECORD = {"rows.csv", "history.csv", "arrays.npz", "weights.safetensors", "config.yaml", "manifest.json"}


def only_run(folder: Path) -> Path:
    (run,) = (path for path in folder.glob("*=*") if path.is_dir())
    return run


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def measured(folder: Path, *arguments: str) -> pd.DataFrame:
    """metric and value, as text, of a run into `folder`."""
    result = command(*arguments, f"results={folder}")
    assert result.status == 0, result.text
    return pd.read_csv(only_run(folder / "own") / "rows.csv", dtype=str)[["metric", "value"]]


def test_a_run_keeps_and_prints_its_rows_and_is_skipped_the_second_time(tmp_path: Path) -> None:
    arguments = [*HEALTH, "seed=3", f"results={tmp_path}"]
    done = subprocess.run([sys.executable, "run.py", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    folder = only_run(tmp_path / "own")
    assert "seed=3" in folder.name.split(",")
    assert contents(folder) == RECORD
    rows = pd.read_csv(folder / "rows.csv")
    labels = ["data", "source", "model", "attribution", "prior", "weight", "seed"]
    assert list(rows.columns[:7]) == labels
    assert rows.loc[0, labels].tolist() == [
        *("health_simulated", "stand-in: simulated", "mlp", "expected_gradients", "none", 0, 3)
    ]
    for metric in ("roc_auc", "accuracy", "gini", "completeness_error"):
        (value,) = rows.loc[rows["metric"] == metric, "value"]
        assert re.search(rf"\| {metric} +\| +{value:.6g}", done.stdout)

    written = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name in RECORD}
    again = command(*arguments)
    assert again.status == 0
    assert "skipped (finished)" in again.text
    assert again.text.splitlines()[1:] == done.stdout.splitlines()[1:]
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_manifest_says_what_made_the_rows(tmp_path: Path) -> None:
    measured(tmp_path, *HEALTH)
    folder = only_run(tmp_path / "own")
    manifest = json.loads((folder / "manifest.json").read_text())
    parameters = 118 * 8 + 8 + 8 + 1
    assert manifest["parameters"] == parameters
    assert manifest["config"]["train"]["epochs"] == 2
    assert manifest["choices"]["model"] == "mlp"
    assert manifest["data"] == {"name": "NHANES I mortality", "stand_in": "simulated", "files": {}}
    assert manifest["versions"]["torch"] == metadata.version("torch")
    assert manifest["threads"] == torch.get_num_threads()
    assert manifest["device"] == "cpu"
    assert {"commit", "dirty"} <= set(manifest)
    assert manifest["peak_memory_mb"] > 0
    assert manifest["seconds"]["total"] > manifest["seconds"]["train"] > 0
    assert set(manifest["files"]) == RECORD - {"manifest.json"}
    assert str(tmp_path) not in (folder / "manifest.json").read_text()


@pytest.mark.parametrize("prior", FAMILY)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(prior: str, tmp_path: Path) -> None:
    one, again, other = (
        command(*FAMILY[prior], f"prior={prior}", f"seed={seed}", f"results={tmp_path / name}")
        for name, seed in (("one", 4), ("again", 4), ("other", 5))
    )
    assert one.status == again.status == other.status == 0
    folders = {name: only_run(tmp_path / name / "own") for name in ("one", "again", "other")}
    for name in RECORD - {"manifest.json"}:
        content = {key: (folder / name).read_bytes() for key, folder in folders.items()}
        assert content["one"] == content["again"]
        assert content["one"] != content["other"]


@pytest.mark.parametrize("prior", FAMILY)
def test_weight_0_gives_the_bits_of_no_prior_and_another_weight_does_not(prior: str, tmp_path: Path) -> None:
    none = measured(tmp_path / "none", *FAMILY[prior], "prior=none")
    zero = measured(tmp_path / "zero", *FAMILY[prior], f"prior={prior}", "prior.weight=0")
    strong = measured(tmp_path / "strong", *FAMILY[prior], f"prior={prior}", "prior.weight=10")
    pd.testing.assert_frame_equal(zero, none)
    assert not strong.equals(none)


def test_a_sweep_ends_with_its_tables_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(canvas.STYLE, "savefig.dpi", 50)
    result = command("-m", "prior=none,gini", "seed=0,1", *HEALTH, "name=mine", f"results={tmp_path}")
    assert result.status == 0, result.text
    folder = tmp_path / "mine"
    rows = pd.concat([pd.read_csv(path) for path in folder.glob("*=*/rows.csv")])
    assert len(rows.groupby(["prior", "seed"])) == 4

    table = pd.read_csv(folder / "table.csv")
    assert list(table.columns[-8:]) == ["metric", "better", "mean", "sem", "low", "high", "n", "failed"]
    found = table.set_index(["prior", "metric"])
    for (prior, metric), values in rows.groupby(["prior", "metric"])["value"]:
        row = found.loc[(prior, metric)]
        low, high = stats.t.interval(0.95, 1, values.mean(), stats.sem(values))
        assert [row["mean"], row["low"], row["high"]] == pytest.approx([values.mean(), low, high])
        assert [row["n"], row["failed"]] == [2, 0]

    comparison = pd.read_csv(folder / "comparison.csv").set_index("metric")
    pair = ["against", "difference", "low", "high", "t", "p", "p_holm", "n"]
    assert list(comparison.columns[-8:]) == pair
    by_seed = rows[rows["metric"] == "gini"].pivot(index="seed", columns="prior", values="value")
    test = stats.ttest_rel(by_seed["gini"], by_seed["none"])
    expected = [(by_seed["gini"] - by_seed["none"]).mean(), test.statistic, test.pvalue]
    assert comparison.loc["gini", ["difference", "t", "p"]].tolist() == pytest.approx(expected)

    main = (folder / "table.md").read_text().split("\n### ")[1]
    assert main.strip() in result.text
    assert "stand-in: simulated" in main
    assert r"\begin{tabular}" in (folder / "table.tex").read_text()
    drawn = {path.suffix for path in (folder / "figures").iterdir() if path.stat().st_size > 1000}
    assert drawn == {".png", ".pdf", ".svg"}


def test_the_help_names_every_choice_of_every_group() -> None:
    result = command("--help")
    assert result.status == 0
    for group in GROUPS:
        part = re.split(r"^\w+=  ", result.text.partition(f"\n{group}=  ")[2], flags=re.MULTILINE)[0]
        said = re.findall(r"^  (\S+) +\S.{10}", part, re.MULTILINE)
        files = (path.relative_to(CONF / group) for path in (CONF / group).rglob("*.yaml"))
        assert set(said) >= {path.with_suffix("").as_posix() for path in files}


# what a user types -> what the sentence says
BAD = {
    "unknown key": (["sede=3"], r"Could not override 'sede'"),
    "unknown key of a choice": (["model.depth=3"], r"Could not override 'model.depth'"),
    "unknown choice": (["prior=ginny"], r"Could not find 'prior/ginny'\n\nAvailable options in 'prior':\n\t\w+"),
    "unknown choice in a sweep": (["hydra.mode=MULTIRUN", "prior=none,ginny"], r"Could not find 'prior/ginny'"),
    "unknown experiment": (["experiment=imagse"], r"Could not find 'experiment/imagse'"),
    "negative weight": (["prior=gini", "prior.weight=-1"], r"prior\.weight is a finite number, 0 or more; found -1"),
    "NaN weight": (["prior=gini", "prior.weight=nan"], r"prior\.weight is a finite number, 0 or more; found nan"),
    "weight of words": (["prior=gini", "prior.weight=much"], r"prior\.weight takes float; found 'much'"),
    "graph prior without a graph": (
        ["prior=graph"],
        r"graph needs a data set with a graph .*; health_simulated has none",
    ),
    "image prior on a table": (["prior=total_variation"], r"total_variation needs attributions of images"),
    "image model on a table": (["model=cnn", "model.hidden=8"], r"cnn needs images .*; health_simulated has features"),
    "seed of words": (["seed=first"], r"seed is a whole number, 0 or more; found 'first'"),
    "seed below 0": (["seed=-1"], r"seed is a whole number, 0 or more; found -1"),
    "seed with a fraction": (["seed=1.5"], r"seed is a whole number, 0 or more; found 1\.5"),
    "unknown device": (["device=gpu"], r"device is cpu or cuda.*; found 'gpu'"),
    "no epochs": (["train.epochs=0"], r"train\.epochs is a whole number, 1 or more; found 0"),
    "more references than people": (["explain.k=900"], r"found k=900 \(explain\.k or attribution\.k\)"),
    "more people than there are": (["data.train=600"], r"has 600 people, found train=600"),
}


def assert_refused(arguments: list[str], sentence: str, results: Path) -> None:
    """A status, the sentence once, no traceback, nothing in the results but the note of a failure."""
    result = command(*arguments, f"results={results}")
    assert result.status == 1
    assert len(re.findall(sentence, result.text)) == 1, result.text
    assert "Traceback" not in result.text
    assert len(re.findall("failed:", result.text)) <= 1
    written = {path.name for path in results.rglob("*") if path.is_file()}
    assert written <= {".lock", "failure.txt", "multirun.yaml"}
    for note in results.rglob("failure.txt"):
        first, _, more = note.read_text().partition("\n")
        assert re.search(sentence, first)
        assert "Traceback (most recent call last)" in more


@pytest.mark.parametrize(("arguments", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    assert_refused([*HEALTH, *arguments], sentence, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["data=csv"], r"data\.path and data\.target must be given: found no value"),
        (
            [*SMALL["health_simulated"], "model=trees"],
            "Trees has no weights to train; model=trees is for train=",
        ),
        (
            [*SMALL["health_simulated"], "model=trees", "train=boosting"],
            "model=trees has no gradient to be explained by: evaluate=comparators leaves that out",
        ),
    ],
)
def test_what_lacks_something_is_refused_in_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    assert_refused(arguments, sentence, tmp_path)


def test_the_code_beside_run_py_is_run_whichever_is_installed(tmp_path: Path) -> None:
    (tmp_path / "src" / "attrpriors").mkdir(parents=True)
    (tmp_path / "src" / "attrpriors" / "__init__.py").write_text("raise SystemExit('the code beside it')\n")
    shutil.copy(ROOT / "run.py", tmp_path)
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run([sys.executable, tmp_path / "run.py"], env=bare, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "the code beside it\n")


def test_a_graph_prior_on_images_is_refused_in_a_sentence(tmp_path: Path) -> None:
    arguments = [*FAMILY["total_variation"], "prior=graph"]
    assert_refused(arguments, r"graph needs a data set with a graph .*; mnist_5k has none", tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_refused_in_a_sentence(tmp_path: Path) -> None:
    assert_refused([*HEALTH, "device=cuda"], r"device=cuda needs a CUDA device, found none", tmp_path)


@pytest.mark.parametrize("data", ["mnist", "cifar10", "cifar10_jpeg", "gdsc", "nhanes", "nhanes_paper", "beataml"])
def test_a_missing_data_file_is_named_with_what_to_do(data: str, tmp_path: Path) -> None:
    arguments = [f"data={data}", f"data.root={tmp_path / 'data'}"] + ["data.network=edges.txt"] * (data == "beataml")
    assert_refused(arguments, r"data/\S+ is missing: run `make data`", tmp_path / "results")


def test_an_altered_data_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data" / nhanes.FEATURES.path
    path.parent.mkdir(parents=True)
    path.write_text(",Age\n0,35\n")
    sentence = r"NHANESI_subset_X\.csv is not the published file .*: run `make data`"
    assert_refused(["data=nhanes", f"data.root={tmp_path / 'data'}"], sentence, tmp_path / "results")


def test_the_folder_of_another_config_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    measured(tmp_path, *HEALTH)
    path = only_run(tmp_path / "own") / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"]["train"]["optimizer"]["lr"] = 0.1  # as if a default had changed since
    path.write_text(json.dumps(manifest))
    before = {path: path.read_bytes() for path in path.parent.iterdir() if path.name in RECORD}
    result = command(*HEALTH, f"results={tmp_path}")
    assert result.status == 1
    assert "holds a finished record of another config: train.optimizer.lr is 0.1 there and 0.001 here" in result.text
    assert {path: path.read_bytes() for path in before} == before


@contextmanager
def room_for(size: int):
    """No file can grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("last", ["unfinished.txt", "manifest.json"])
def test_a_full_disk_leaves_nothing_half_written_and_the_run_is_redone(last: str, tmp_path: Path) -> None:
    small = [*HEALTH, "weights=false"]
    measured(tmp_path / "whole", *small)
    whole = {path.name: path.stat().st_size for path in only_run(tmp_path / "whole" / "own").iterdir()}
    assert max(whole, key=lambda name: whole[name]) == "manifest.json"
    with room_for(100 if last == "unfinished.txt" else whole["manifest.json"] - 100):
        result = command(*small, f"results={tmp_path}")
    assert result.status == 1
    assert len(re.findall(rf"{last} could not be written: File too large", result.text)) == 1, result.text
    folder = only_run(tmp_path / "own")
    assert contents(folder) == {"failure.txt"}
    measured(tmp_path, *small)
    assert contents(folder) == RECORD - {"weights.safetensors", "config.yaml"}
