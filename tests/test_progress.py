"""A sweep tells how far it is: a bar in a terminal, lines elsewhere, whatever process a job runs in."""

import os
import pickle
import pty
import re
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import tiny
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from attrpriors import progress, table
from attrpriors.progress import Progress, duration

OWN = Path("results/own")
CONFIG = OmegaConf.create({"results": "results", "name": "own", "hydra": {"sweeper": {"params": {"seed": "range(5)"}}}})
CONFIG.hydra.overrides = {"task": ["prior=none,gini"]}


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "collect", lambda folder: "tables")
    monkeypatch.setattr(progress, "EVERY", 0.01)
    monkeypatch.setattr(progress, "_watched", False)


@contextmanager
def terminal() -> Iterator[list[str]]:
    """A pseudo-terminal is this process's stderr; at the end, what was drawn on it."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 150))
    parts: list[bytes] = []
    drawn: list[str] = []

    def read() -> None:
        with suppress(OSError):  # the end: nobody writes any more
            while part := os.read(master, 1 << 16):
                parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as stderr, mock.patch.object(sys, "stderr", stderr):
        yield drawn
    reader.join()
    os.close(master)
    drawn.append(b"".join(parts).decode())


def sweep() -> None:
    """Four runs: one that is there already, one that fails, two good ones."""
    tiny.run("data=drugs", "seed=0", "broken=[1]", "seconds=0.1")
    with pytest.raises(SystemExit, match="failed runs: 1"):
        tiny.sweep("data=drugs", "seed=0,1,2,3", "broken=[1]", "seconds=0.1")


def test_in_a_terminal_a_bar_counts_the_runs_and_tells_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal() as parts:
        sweep()
    (drawn,) = parts
    states = re.findall(r"own \|.{20}\| (\d)/4 runs, (\d) finished, (\d) running, (\d) failed, (\d) skipped", drawn)
    assert states[0][0] in "01"
    assert ("2", "0", "1", "1", "1") in states
    assert ("3", "1", "1", "1", "1") in states
    assert all(int(ended) == int(good) + int(bad) + int(old) for ended, good, _, bad, old in states)
    assert re.search(r"3/4 runs, 1 finished, 1 running, 1 failed, 1 skipped, about \d s left", drawn)
    assert drawn.endswith("\r")  # the bar is gone
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"4 runs: 2 finished, 1 failed, 1 skipped, in \d+ s", out[-4])
    assert out[-1] == "table: results/own/table.csv"


def test_elsewhere_there_is_a_line_for_each_run_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    sweep()
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split(": ")[1].split()[0] for line in out.splitlines()[-8:-4]] == [
        *("skipped", "failed", "finished", "finished")
    ]
    assert out.splitlines()[-1] == "table: results/own/table.csv"
    assert [path.name for path in OWN.iterdir() if path.name.startswith(".")] == []


def test_jobs_of_other_processes_are_counted_and_draw_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(GlobalHydra.instance(), "hydra", SimpleNamespace(config_loader=None))
    OWN.mkdir(parents=True)
    here = Progress()
    here.on_multirun_start(CONFIG)
    there = pickle.loads(pickle.dumps(here))  # as a launcher hands it over
    monkeypatch.setattr(os, "getpid", lambda: here.process + 1)
    for went in ("finished in 3.1 s", "skipped (finished)", "failed: the loss is not finite"):
        there.on_job_start(CONFIG)
        there.on_job_end(CONFIG, SimpleNamespace(return_value=went))
    with terminal() as drawn:
        assert list(progress.epochs(2)) == [1, 2]
    assert drawn == [""]
    there.on_job_start(CONFIG)
    assert here._seen() == {"finished": 1, "skipped": 1, "failed": 1, "running": 1}
    monkeypatch.setattr(os, "getpid", lambda: here.process)
    here.on_multirun_end(CONFIG)
    assert capsys.readouterr().out == "10 runs: 1 finished, 1 failed, 1 skipped, in 0 s\n"


def test_epochs_have_a_bar_in_a_terminal() -> None:
    with terminal() as drawn:
        assert list(progress.epochs(3)) == [1, 2, 3]
    assert "0/3" in drawn[0]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (12240, "3.4 h")]
)
def test_a_duration_is_told_in_the_unit_that_suits_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
