"""Sweeps as a user starts them: failures among good runs, kill and resume, two at once, several launchers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pandas as pd
import pytest
import tiny

from attrpriors import figure

OWN = Path("results/own")


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time of a sweep."""
    monkeypatch.setattr(figure, "draw", lambda runs, table: None)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "app.py", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} did not come in a minute")


def test_a_sweep_makes_its_tables_and_figures_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    tiny.sweep("data=drugs", "prior=none,gini", "seed=range(2)")
    out = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in out[:4]] == [
        f"data=drugs,prior={prior},seed={seed}" for prior in ("none", "gini") for seed in (0, 1)
    ]
    assert out[-1] == "table: results/own/table.csv"
    found = pd.read_csv(OWN / "table.csv").query("metric == 'r2'")
    assert found[["prior", "n", "failed"]].values.tolist() == [["none", 2, 0], ["gini", 2, 0]]
    assert (OWN / "comparison.csv").exists()
    assert (OWN / "figures" / "scores_drugs_linear.png").exists()
    assert '<section id="own">' in Path("results/report.html").read_text()


def test_a_failed_run_among_good_ones_is_named_and_ends_the_sweep_with_its_sentence(without_figures: None) -> None:
    with pytest.raises(SystemExit) as failure:
        tiny.sweep("data=drugs", "seed=range(3)", "broken=[1]")
    assert failure.value.code == (
        "failed runs: 1 (traceback in their failure.txt)\n"
        "  broken=[1],data=drugs,seed=1: the loss is not finite at epoch 3"
    )
    found = pd.read_csv(OWN / "table.csv").query("metric == 'r2'")
    assert found[["n", "failed"]].values.tolist() == [[2, 1]]
    assert "- `broken=[1],data=drugs,seed=1`: the loss is not finite at epoch 3" in (OWN / "table.md").read_text()


def test_a_failure_of_an_earlier_sweep_is_in_the_table_but_not_in_the_exit_status(without_figures: None) -> None:
    with pytest.raises(SystemExit):
        tiny.sweep("data=drugs", "seed=0,1", "broken=[1]")
    tiny.sweep("data=drugs", "seed=0", "broken=[1]")
    assert pd.read_csv(OWN / "table.csv")["failed"].tolist()[0] == 1


def test_a_sweep_of_failures_alone_says_so_and_writes_no_table() -> None:
    with pytest.raises(SystemExit, match="results/own has no finished run") as failure:
        tiny.sweep("seed=0,1", "broken=[0,1]")
    assert "seed=1: the loss is not finite" in str(failure.value.code)
    assert not (OWN / "table.csv").exists()


def test_a_killed_sweep_goes_on_where_it_stopped_and_two_processes_share_the_work() -> None:
    sweep = ("-m", "data=drugs", "seed=range(3)", "seconds=0.7")
    killed = start(*sweep)
    folders = [OWN / f"data=drugs,seconds=0.7,seed={seed}" for seed in range(3)]
    wait_for(folders[1] / "unfinished.txt")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (OWN / "table.csv").exists()
    finished = (folders[0] / "manifest.json").stat().st_mtime_ns
    both = [start(*sweep) for _ in range(2)]
    outs, errors = zip(*(process.communicate(timeout=120) for process in both), strict=True)
    assert errors == ("", "")
    lines = "".join(outs).splitlines()
    assert lines.count(f"{folders[0].name}: skipped (finished)") == 2
    for folder in folders[1:]:  # each is run once, by one of the two
        assert sum(line.startswith(f"{folder.name}: finished in ") for line in lines) == 1
        assert lines.count(f"{folder.name}: skipped (finished)") == 1
    assert (folders[0] / "manifest.json").stat().st_mtime_ns == finished
    assert not (folders[1] / "unfinished.txt").exists()
    assert pd.read_csv(OWN / "table.csv").query("metric == 'r2'")["n"].tolist() == [3]


@pytest.mark.parametrize("launcher", ["joblib", "submitit"])
def test_a_sweep_in_other_processes_is_recorded_and_tabulated_alike(
    launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher}_launcher")
    settings, threads = [], 1
    if launcher == "joblib":
        monkeypatch.delenv("OMP_NUM_THREADS")  # joblib shares the cores out by itself
        settings, threads = ["hydra.launcher.n_jobs=2"], max(1, joblib.cpu_count() // 2)
    tiny.sweep("data=drugs", "seed=0", "name=here")
    process = start("-m", f"hydra/launcher={launcher}", *settings, "data=drugs", "seed=0,2", "broken=[2]")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "broken=[2],data=drugs,seed=2: the loss is not finite at epoch 3" in err
    found = pd.read_csv(OWN / "table.csv").query("metric == 'r2'")
    assert found[["n", "failed"]].values.tolist() == [[1, 1]]
    here, there = Path("results/here/data=drugs,seed=0"), OWN / "broken=[2],data=drugs,seed=0"
    values = [pd.read_csv(folder / "rows.csv")["value"].tolist() for folder in (here, there)]
    assert values[0] == values[1]
    assert json.loads((there / "manifest.json").read_text())["threads"] == threads
    assert out.endswith("table: results/own/table.csv\n")
