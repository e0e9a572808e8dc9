"""A run is its setting: kept once, skipped when finished, redone when damaged, refused when it is another one."""

import errno
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from attrpriors import record
from attrpriors.data import Provenance
from attrpriors.record import Outcome, machine, start, stream
from attrpriors.record.randomness import entropy


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("rows.csv", "history.csv", "arrays.npz")}


def never(cfg: DictConfig) -> Outcome:
    raise AssertionError("a finished run was run again")


def test_streams_of_other_names_and_of_neighbouring_seeds_draw_other_numbers() -> None:
    draws = {float(torch.rand((), generator=stream(seed, name))) for seed in range(50) for name in ("batches", "draws")}
    assert len(draws) == 100


def test_a_stream_is_the_same_in_every_process_and_whatever_else_was_drawn() -> None:
    torch.rand(7)
    assert torch.equal(torch.rand(3, generator=stream(4, "batches")), torch.rand(3, generator=stream(4, "batches")))
    assert entropy(4, "batches") == 16156692959117952975


def test_a_run_leaves_its_rows_history_arrays_and_manifest_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny.run("prior=gini", "seed=3") / "prior=gini,seed=3"
    assert files(folder) == {"rows.csv", "history.csv", "arrays.npz", "manifest.json"}
    rows = pd.read_csv(folder / "rows.csv")
    assert list(rows) == ["data", "source", "model", "attribution", "prior", "weight", "seed", "metric", "value"]
    assert rows.iloc[0].tolist() == [
        *("digits", "stand-in: made up", "linear", "expected", "gini", 0.5, 3, "best_epoch", 2.0)
    ]
    assert list(pd.read_csv(folder / "history.csv")) == ["epoch", "phase", "loss", "penalty", "validation_accuracy"]
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("prior=gini,seed=3: finished in ")
    assert out[-1] == "record: results/own/prior=gini,seed=3/"


def test_the_manifest_says_what_ran_where_on_which_data_and_how_long() -> None:
    folder = tiny.run("prior=gini", "threads=1") / "prior=gini,seed=0"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["config"]["prior"] == {"gain": 0.3, "weight": 0.5}
    assert not {"name", "results", "threads", "device"} & set(manifest["config"])
    assert manifest["data"] == {"name": "rows", "stand_in": "made up", "files": {"rows.bin": "0" * 64}}
    assert manifest["seconds"]["train"] == pytest.approx(3 * 0.8)
    assert manifest["seconds"]["per_epoch"] == pytest.approx(0.8)
    assert (manifest["parameters"], manifest["threads"], manifest["device"]) == (42, 1, "cpu")
    assert manifest["peak_memory_mb"] > 50
    assert manifest["versions"]["torch"] == torch.__version__.split("+")[0]
    assert manifest["finished"].endswith("+00:00")
    assert platform.node() not in (folder / "manifest.json").read_text()


@pytest.fixture
def routes() -> Iterator[None]:
    """The route of matrix products is chosen anew in the test, and after it."""
    before = torch.backends.mkldnn.matmul.fp32_precision
    machine.choose_matmul.cache_clear()
    yield
    machine.choose_matmul.cache_clear()
    torch.backends.mkldnn.matmul.fp32_precision = before


@pytest.mark.parametrize(("error", "route", "setting"), [(9e-7, "oneDNN", "bf16"), (1.1e-6, "default", "none")])
def test_the_manifest_tells_the_route_of_matrix_products_which_is_pytorchs_own_where_another_is_inexact(
    error: float, route: str, setting: str, routes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([1e-8, error, 1e-8])
    monkeypatch.setattr(machine, "_error", lambda shape: next(measured))
    for seed in (0, 1):  # measured once a process
        manifest = json.loads((tiny.run(f"seed={seed}") / f"seed={seed}" / "manifest.json").read_text())
        assert manifest["matmul"] == {"route": route, "error": error}
    assert torch.backends.mkldnn.matmul.fp32_precision == setting


def test_the_route_of_matrix_products_is_as_exact_as_it_says(routes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = machine.choose_matmul()
    assert (chosen["route"] == "oneDNN") == (chosen["error"] < 1e-6)
    one, other = (torch.randn(50, 300, 300, generator=stream(seed, "products")) for seed in (0, 1))
    exact = one.double() @ other.double()
    assert (one @ other - exact).abs().max() < 1e-6 * exact.abs().max()
    machine.choose_matmul.cache_clear()
    monkeypatch.setattr(machine, "MATMUL_ERROR", 0.0)
    assert machine.choose_matmul()["route"] == "default"
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"


@pytest.mark.parametrize("library", [mock.Mock(), mock.Mock(spec=[])], ids=["glibc", "another"])
def test_freed_memory_is_kept_where_the_c_library_can(library: mock.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: library)
    machine.keep_freed_memory.cache_clear()
    for _ in range(2):
        machine.keep_freed_memory()
    machine.keep_freed_memory.cache_clear()
    if hasattr(library, "mallopt"):  # the options are glibc's: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD
        assert [call.args for call in library.mallopt.call_args_list] == [(-3, 2**25), (-1, 2**30), (-2, 2**26)]


def test_rows_may_have_labels_of_their_own_and_a_record_may_hold_members() -> None:
    def together(cfg: DictConfig) -> Outcome:
        rows = [("r2", 0.5, {"seed": 4, "explain": "random"}), ("r2", 0.75, {"seed": 6, "explain": "random"})]
        history = pd.DataFrame({"epoch": [1, 1], "member": [0, 1]})
        members, lost = [{"seed": 4}, {"seed": 6}], [({"seed": 5}, "the loss is not finite")]
        return Outcome(rows, history, {}, Provenance("rows"), 1, members, lost)

    folder = tiny.run("seed=[4,5,6]", "name=members", task=together) / "seed=4..6"
    rows = pd.read_csv(folder / "rows.csv")
    assert rows[["seed", "explain", "metric", "value"]].values.tolist() == [
        [4, "random", "r2", 0.5],
        [6, "random", "r2", 0.75],
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["own"] == ["explain", "seed"]
    assert manifest["members"] == [{"seed": 4}, {"seed": 6}]
    assert manifest["lost"] == [{"labels": {"seed": 5}, "message": "the loss is not finite"}]
    plain = json.loads((tiny.run("seed=4") / "seed=4" / "manifest.json").read_text())
    assert plain["own"] == plain["members"] == plain["lost"] == []


def test_an_epoch_lasts_as_long_as_one_of_the_phase_with_the_prior() -> None:
    def finetuned(cfg: DictConfig) -> Outcome:
        history = pd.DataFrame({"phase": ["plain"] * 2 + ["prior"] * 2, "seconds": [1.0, 1.0, 4.0, 6.0]})
        return Outcome([("r2", 0.5)], history, {}, tiny.outcome(cfg).data, 1)

    manifest = json.loads((tiny.run(task=finetuned) / "seed=0" / "manifest.json").read_text())
    assert (manifest["seconds"]["train"], manifest["seconds"]["per_epoch"]) == (12.0, 5.0)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    def drawing(cfg: DictConfig) -> Outcome:  # from the global generators too, as initial weights are
        told = tiny.outcome(cfg)
        return Outcome(
            [*told.rows, ("drawn", float(torch.rand(())) + np.random.rand())], *list(vars(told).values())[1:]
        )

    one, two = (tiny.run("seed=1", f"name={name}", task=drawing) / "seed=1" for name in ("one", "two"))
    assert content(one) == content(two)
    other = tiny.run("seed=2", "name=one", task=drawing) / "seed=2"
    again, anew = (
        tiny.run("seed=1", f"+initialisation={number}", task=drawing) / f"initialisation={number},seed=1"
        for number in (0, 1)
    )
    drawn = [
        pd.read_csv(folder / "rows.csv").set_index("metric")["value"]["drawn"] for folder in (one, again, other, anew)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_an_initialisation_draws_all_but_the_data_anew() -> None:
    cfg, first, second = (DictConfig({"seed": 3} | more) for more in ({}, {"initialisation": 0}, {"initialisation": 1}))
    assert start(cfg) == start(first) == 3
    assert start(second) == entropy(3, "initialisation 1")


def test_a_finished_run_is_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("seed=1")
    capsys.readouterr()
    tiny.run("seed=1", task=never)
    out = capsys.readouterr().out
    assert out.startswith("seed=1: skipped (finished)\n")
    assert "best_epoch" in out


@pytest.mark.parametrize("name", ["rows.csv", "history.csv", "arrays.npz", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_damaged_record_is_made_again(name: str, damage: str) -> None:
    folder = tiny.run("seed=1") / "seed=1"
    before, path = content(folder), folder / name
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"\xff" + whole[1:])
    tiny.run("seed=1")
    assert content(folder) == before
    assert record.verified(folder)


def test_a_record_that_cannot_be_read_just_now_is_no_damaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.run("seed=1") / "seed=1"
    before = content(folder)

    def fails(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fails)
        with pytest.raises(SystemExit, match=r"failed: .*Input/output error"):
            tiny.run("seed=1", task=never)
    assert content(folder) == before
    tiny.run("seed=1", task=never)


def test_the_record_of_another_config_is_refused_by_its_first_differing_key_and_stays() -> None:
    folder = tiny.run("seed=1") / "seed=1"
    before = content(folder)
    conf = Path("conf/config.yaml")
    conf.write_text(conf.read_text().replace("epochs: 3", "epochs: 4"))
    with pytest.raises(SystemExit) as refusal:
        tiny.run("seed=1")
    assert "epochs is 3 there and 4 here; choose another name=... or remove the folder" in str(refusal.value)
    assert content(folder) == before
    tiny.run("seed=1", "name=other")
    assert Path("results/other/seed=1/manifest.json").exists()


def test_a_record_of_data_that_have_changed_since_is_refused_and_stays() -> None:
    def measured(cfg: DictConfig) -> Outcome:
        sha256 = hashlib.sha256(Path(cfg.data.path).read_bytes()).hexdigest()
        return replace(tiny.outcome(cfg), data=Provenance("rows", files={"rows.csv": sha256}))

    settings, rows = ["+data.path=rows.csv", "+data.root=.", "seed=1"], Path("rows.csv")
    rows.write_text("age\n5\n")
    (folder,) = tiny.run(*settings, task=measured).glob("*seed=1")
    before = content(folder)
    tiny.run(*settings, task=never)
    rows.write_text("age\n6\n")
    with pytest.raises(SystemExit, match=r"holds a finished record of other data: rows\.csv has changed since; choose"):
        tiny.run(*settings, task=never)
    assert content(folder) == before
    rows.unlink()  # a finished run is skipped without its data
    tiny.run(*settings, task=never)


def test_where_a_run_happens_is_not_what_it_is() -> None:
    tiny.run("seed=1", "threads=1")
    tiny.run("seed=1", "device=cpu", "threads=null", task=never)


def test_a_failed_single_run_ends_in_one_sentence_and_leaves_its_traceback_alone() -> None:
    with pytest.raises(SystemExit) as failure:
        tiny.run("seed=1", "broken=[1]")
    folder = Path("results/own/broken=[1],seed=1")
    assert failure.value.code == (
        f"broken=[1],seed=1: failed: the loss is not finite at epoch 3 (traceback in {folder}/failure.txt)"
    )
    assert files(folder) == {"failure.txt"}
    assert "in outcome" in (folder / "failure.txt").read_text()


def test_a_failed_run_of_a_sweep_lets_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("seed=1", "broken=[1]", mode="MULTIRUN")
    assert "failed: the loss is not finite" in capsys.readouterr().out


def test_a_run_that_succeeds_later_forgets_its_failure() -> None:
    def fails(cfg: DictConfig) -> Outcome:
        raise KeyError("gene")

    with pytest.raises(SystemExit, match="failed: KeyError: 'gene'"):
        tiny.run(task=fails)
    assert "manifest.json" in files(tiny.run() / "seed=0")
    assert not Path("results/own/seed=0/failure.txt").exists()


@pytest.mark.parametrize("written", range(5))  # unfinished.txt, rows.csv, history.csv, arrays.npz; the manifest is last
def test_a_run_stopped_while_it_writes_is_not_finished_and_made_again(
    written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = os.replace, []

    def stopped(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > written:
            raise KeyboardInterrupt
        replace(source, target)

    folder = Path("results/own/seed=1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            tiny.run("seed=1")
    assert any(name.endswith(".part") for name in files(folder))
    assert record.verified(folder) is None
    tiny.run("seed=1")
    assert files(folder) == {"rows.csv", "history.csv", "arrays.npz", "manifest.json"}


@pytest.mark.parametrize("space", range(5))
def test_a_full_disk_is_one_sentence_and_nothing_half_written(space: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, calls = os.fsync, []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) > space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SystemExit, match=r"failed: \S+ could not be written: No space left on device"):
            tiny.run("seed=1")
    assert files(Path("results/own/seed=1")) == {"failure.txt"}
    tiny.run("seed=1")
    assert record.verified(Path("results/own/seed=1"))


def test_the_setting_is_the_sorted_overrides_with_the_seed_and_without_where_it_runs() -> None:
    tiny.run("prior=gini", "prior.weight=1e-3", "model=mlp", "name=here", "threads=1")
    tiny.run("name=here")
    names = {path.name for path in Path("results/here").iterdir()}
    assert names == {"model=mlp,prior=gini,prior.weight=0.001,seed=0", "seed=0"}


def test_other_overrides_are_labels_and_equal_values_are_one_however_they_are_spelt() -> None:
    folder = tiny.run("epochs=4", "prior=gini", "prior.weight=5e-1")
    tiny.run("epochs=4", "prior=gini", "prior.weight=0.50", task=never)
    rows = pd.read_csv(folder / "epochs=4,prior=gini,prior.weight=0.5,seed=0" / "rows.csv")
    assert (rows["epochs"].iloc[0], rows["weight"].iloc[0]) == (4, 0.5)
    assert "prior.weight" not in rows


@pytest.mark.parametrize("value", ["a/b", "a b", "ä", "x" * 300, "/pictures/cats"])
def test_a_value_that_is_no_file_name_gets_a_folder_of_its_own(value: str) -> None:
    tiny.run(f"data.kind='{value}'", "seed=1")
    tiny.run("data.kind=a_b", "seed=1")
    made, plain = sorted((path.name for path in Path("results/own").iterdir()), key=len, reverse=True)
    assert plain == "data.kind=a_b,seed=1"
    assert made.startswith("data.kind=")
    assert len(made) < 200


def test_a_folder_of_this_machine_is_known_by_its_last_part_alone(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        tiny.run(f"data.kind={tmp_path / folder / 'cats'}")
    manifests = [path.read_text() for path in Path("results/own").glob("*/manifest.json")]
    assert len(manifests) == 2
    assert all("cats-" in manifest and str(tmp_path) not in manifest for manifest in manifests)


def test_what_an_error_says_is_told_without_hydras_frame_around_it() -> None:
    with pytest.raises(InstantiationException, match="Error in call to target") as caught:
        instantiate({"_target_": "builtins.int", "_args_": ["x y"]})
    assert record.sentence(caught.value) == "invalid literal for int() with base 10: 'x y'"
