"""Tables against numbers computed by hand."""

import gzip
import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from omegaconf import DictConfig

from attrpriors import table
from attrpriors.data import Provenance
from attrpriors.record import Outcome
from attrpriors.table.comparison import compare, holm
from attrpriors.table.runs import read

OWN = Path("results/own")


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_app(tmp_path)
    monkeypatch.chdir(tmp_path)


def measured(*rows: tuple[str, float], stand_in: str = "", seconds: float = 1.0) -> Callable[[DictConfig], Outcome]:
    """A task that measures the given rows."""
    history = pd.DataFrame({"epoch": [1], "seconds": [seconds]})
    return lambda cfg: Outcome(rows, history, {}, Provenance("rows", stand_in), 1)


def members(
    values: dict[int, float], lost: dict[int, str] | None = None, metric: str = "r2"
) -> Callable[[DictConfig], Outcome]:
    """A task of one record that holds a member a seed -> value, and those that were lost, by seed -> message."""
    rows = [(metric, value, {"seed": seed}) for seed, value in values.items()]
    labels, gone = [{"seed": seed} for seed in values], [({"seed": seed}, told) for seed, told in (lost or {}).items()]
    history = pd.DataFrame({"epoch": 1, "seconds": 1.0, "member": range(len(values))})
    return lambda cfg: Outcome(rows, history, {}, Provenance("rows"), 1, labels, gone)


def runs(prior: str, values: dict[int, float], *overrides: str, metric: str = "r2") -> None:
    """A run a seed -> value."""
    for seed, value in values.items():
        tiny.run(f"prior={prior}", f"seed={seed}", *overrides, task=measured((metric, value)), mode="MULTIRUN")


def summary(metric: str = "r2") -> pd.DataFrame:
    rows = table.summarise(read(OWN))
    return rows[rows["metric"] == metric].set_index("method")


def test_mean_standard_error_and_interval_are_those_computed_by_hand() -> None:
    runs("gini", {0: 1.0, 1: 2.0, 2: 6.0})  # mean 3, variance 7, t(0.975, 2) = 4.302653
    row = summary().loc["gini"]
    assert (row["n"], row["failed"], row["better"]) == (3, 0, "higher")
    assert [row["mean"], row["sem"]] == pytest.approx([3, np.sqrt(7 / 3)])
    assert [row["low"], row["high"]] == pytest.approx([3 - 6.572411, 3 + 6.572411], abs=1e-6)


def test_one_run_has_a_mean_and_no_interval() -> None:
    runs("gini", {0: 1.0})
    row = summary().loc["gini"]
    assert (row["mean"], row["n"]) == (1.0, 1)
    assert row[["sem", "low", "high"]].isna().all()


def test_a_value_that_is_not_a_number_is_not_averaged_away() -> None:
    runs("gini", {0: 1.0, 1: float("nan")})
    assert np.isnan(summary().loc["gini", "mean"])


def test_paired_differences_are_those_computed_by_hand() -> None:
    runs("none", {0: 1.0, 1: 5.0, 2: 2.0, 7: 100.0})  # seed 7 has no partner
    runs("gini", {0: 2.0, 1: 7.0, 2: 5.0, 8: -50.0})  # differences 1, 2, 3: mean 2, sem 0.57735
    pairs = compare(read(OWN))
    assert len(pairs) == 1
    row = pairs.iloc[0]
    assert (row["prior"], row["metric"], row["against"], row["n"]) == ("gini", "r2", "none", 3)
    assert row["difference"] == pytest.approx(2)
    assert [row["low"], row["high"]] == pytest.approx([2 - 2.484138, 2 + 2.484138], abs=1e-6)
    assert row["t"] == pytest.approx(3.464102, abs=1e-6)
    assert row["p"] == pytest.approx(1 - np.sqrt(6 / 7))  # of t = 2 sqrt 3 with 2 degrees: 1 - t / sqrt(2 + t^2)
    assert row["p_holm"] == row["p"]


def test_holms_correction_is_the_one_computed_by_hand() -> None:
    # sorted 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, 0.04, then never less than the one before; a NaN is no test
    corrected = holm(pd.Series([0.04, 0.01, np.nan, 0.03]))
    assert corrected[[0, 1, 3]].tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert np.isnan(corrected[2])


def test_holms_correction_is_over_the_pairs_of_one_metric_and_data_set() -> None:
    for data in ("digits", "survey"):
        runs("none", {0: 1.0, 1: 5.0, 2: 2.0}, f"data={data}")
        runs("gini", {0: 2.0, 1: 7.0, 2: 5.0}, f"data={data}")
        runs("graph", {0: 2.5, 1: 8.0, 2: 1.0}, f"data={data}")
    pairs = compare(read(OWN))
    assert pairs["against"].tolist() == ["none", "none", "gini"] * 2
    assert pairs["prior"].tolist() == ["gini", "graph", "graph"] * 2
    assert pairs["p_holm"].iloc[0] == pytest.approx(3 * pairs["p"].iloc[0])  # the smallest of three


@pytest.mark.parametrize(
    ("gini", "n"),
    [({0: 2.0}, 1), ({8: 2.0}, 0), ({0: 2.0, 1: 6.0, 2: 3.0}, 3), ({0: 1.0, 1: 5.0, 2: 2.0}, 3)],
    ids=["one pair", "no pair", "a constant difference", "no difference"],
)
def test_without_two_pairs_that_differ_there_is_no_p_value(gini: dict[int, float], n: int) -> None:
    runs("none", {0: 1.0, 1: 5.0, 2: 2.0})
    runs("gini", gini)
    row = compare(read(OWN)).iloc[0]
    assert row["n"] == n
    assert row[["t", "p", "p_holm", "low", "high"]].isna().all()


def test_rounding_alone_is_no_variation() -> None:
    runs("none", {0: 0.3, 1: 0.1, 2: 0.7})
    runs("gini", {0: 0.4, 1: 0.2, 2: 0.7999999999999999})
    assert np.isnan(compare(read(OWN))["p"].iloc[0])


def test_failed_and_unfinished_runs_are_counted_where_they_belong() -> None:
    runs("none", {0: 1.0})
    runs("gini", {0: 1.0, 1: 2.0})
    for seed in (2, 3):
        tiny.run("prior=gini", f"seed={seed}", "broken=[2,3,4]", mode="MULTIRUN")  # a label more than the others
        (OWN / f"broken=2..4,prior=gini,seed={seed}").rename(OWN / f"prior=gini,seed={seed}")
    tiny.run("prior=graph", "seed=4", "broken=[2,3,4]", mode="MULTIRUN")
    conf = Path("conf/config.yaml")
    conf.write_text(conf.read_text().replace("broken: []", "broken: [2,3,4]"))
    found = table.summarise(read(OWN))
    methods = found.drop_duplicates("method").set_index("method")
    assert methods["failed"].to_dict() == {"none": 0, "gini, broken=[]": 0, "gini, broken=[2,3,4]": 2, "graph": 1}
    assert found[found["method"] == "graph"][["metric", "n"]].values.tolist() == [["", 0]]


def test_a_run_that_was_stopped_counts_as_failed() -> None:
    def stopped(cfg: DictConfig) -> Outcome:
        raise KeyboardInterrupt

    runs("gini", {0: 1.0})
    with pytest.raises(KeyboardInterrupt):
        tiny.run("prior=gini", "seed=1", task=stopped)
    assert summary().loc["gini", ["n", "failed"]].tolist() == [1, 1]
    assert read(OWN).failed["message"].tolist() == ["not finished"]


def test_a_damaged_run_counts_as_failed() -> None:
    runs("gini", {0: 1.0, 1: 2.0})
    (OWN / "prior=gini,seed=1" / "rows.csv").write_text("")
    assert read(OWN).failed[["setting", "message"]].values.tolist() == [["prior=gini,seed=1", "damaged"]]
    assert summary().loc["gini", "n"] == 1


def test_a_default_and_the_same_value_given_by_hand_are_one_method() -> None:
    runs("gini", {0: 1.0})
    runs("gini", {1: 2.0}, "epochs=3", "prior.weight=0.5")
    runs("gini", {0: 5.0}, "epochs=9")
    assert summary()["n"].to_dict() == {"gini, epochs=3": 2, "gini, epochs=9": 1}


def test_a_run_kept_under_two_settings_counts_once() -> None:
    runs("none", {0: 1.0})
    tiny.run("seed=0", task=measured(("r2", 1.0)), mode="MULTIRUN")
    assert sorted(path.name for path in OWN.iterdir()) == ["prior=none,seed=0", "seed=0"]
    assert summary().loc["none", "n"] == 1


def test_runs_under_other_defaults_are_not_averaged_with_each_other() -> None:
    runs("gini", {0: 1.0})
    conf = Path("conf/config.yaml")
    conf.write_text(conf.read_text().replace("epochs: 3", "epochs: 4"))
    runs("gini", {1: 2.0})
    with pytest.raises(
        ValueError, match="bear the same labels but differ in their config: epochs is 3 there and 4 here"
    ):
        read(OWN)


def test_a_setting_that_follows_the_seed_makes_no_other_method() -> None:
    conf = Path("conf/config.yaml")
    conf.write_text(conf.read_text().replace("epochs: 3", "epochs: ${seed}"))
    runs("gini", {5: 1.0, 6: 2.0})
    assert summary().loc["gini", "n"] == 2


def test_real_data_and_stand_ins_are_told_apart() -> None:
    for seed, stand_in in enumerate(["", "simulated"]):
        tiny.run(f"seed={seed}", task=measured(("r2", 1.0 + seed), stand_in=stand_in), mode="MULTIRUN")
    found = table.summarise(read(OWN)).query("metric == 'r2'")
    assert found[["source", "mean"]].values.tolist() == [["real", 1.0], ["stand-in: simulated", 2.0]]
    table.collect(OWN)
    for name in ("table.md", "table.tex"):
        text = (OWN / name).read_text()
        assert "digits (real), model linear" in text
        assert "digits (stand-in: simulated), model linear" in text


def test_the_tables_for_people_show_main_metrics_noise_levels_and_the_cost_of_the_prior() -> None:
    for seed, value in enumerate([1.0, 2.0, 6.0]):
        rows = (("accuracy", value), ("log_loss", 0.25), ("accuracy/gaussian=0.1", 0.5))
        tiny.run(f"seed={seed}", task=measured(*rows, seconds=2.0), mode="MULTIRUN")
        tiny.run(f"seed={seed}", "prior=gini", task=measured(*rows, seconds=3.0), mode="MULTIRUN")
    out = table.collect(OWN)
    text = (OWN / "table.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["prior", "accuracy ↑", "log_loss ↓"]
    assert lines[2] == ["none", "3.0 ± 6.6 (3)", "0.25 ± 0 (3)"]
    assert lines[4:7:2] == [["prior", "0.1 ↑"], ["none", "0.5 ± 0 (3)"]]
    assert lines[8][0::3] == ["prior", "seconds_per_epoch / prior-free"]
    assert [lines[10][3], lines[11][3]] == ["1.00", "1.50"]
    assert r"3.0 $\pm$ 6.6 (3)" in (OWN / "table.tex").read_text()
    assert "accuracy ↑" in out
    assert "seconds_per_epoch" not in out


def test_what_is_committed_holds_all_rows_and_manifests_and_repeats_itself_to_the_byte() -> None:
    runs("none", {0: 1.0, 1: 0.1 + 0.2})
    runs("gini", {0: 2.0})
    names = ("rows.csv.gz", "manifests.jsonl", "table.csv", "comparison.csv", "table.md", "table.tex")
    table.collect(OWN)
    first = [(OWN / name).read_bytes() for name in names]
    table.collect(OWN)
    assert [(OWN / name).read_bytes() for name in names] == first
    rows = pd.read_csv(OWN / "rows.csv.gz")
    assert rows["value"].tolist() == [1.0, 0.1 + 0.2, 2.0]
    assert gzip.decompress(first[0]).startswith(b"data,source,model,attribution,prior,weight,seed,metric,value\n")
    manifests = [json.loads(line) for line in first[1].decode().splitlines()]
    assert [manifest["setting"] for manifest in manifests] == [
        *("prior=none,seed=0", "prior=none,seed=1", "prior=gini,seed=0")
    ]
    assert list(pd.read_csv(OWN / "table.csv"))[-8:] == [
        *("metric", "better", "mean", "sem", "low", "high", "n", "failed")
    ]


def test_runs_whose_folders_are_gone_leave_the_tables_with_a_word() -> None:
    runs("none", {0: 1.0, 1: 2.0, 2: 3.0})
    assert "no longer" not in table.collect(OWN)
    for seed in (0, 1):
        shutil.rmtree(OWN / f"prior=none,seed={seed}")
    assert "\n2 runs of the tables before have no folder here: they are no longer in them.\n" in table.collect(OWN)
    assert "no longer" not in table.collect(OWN)
    assert summary().loc["none", "n"] == 1


def test_a_folder_without_a_finished_run_keeps_the_tables_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    OWN.mkdir(parents=True)
    (OWN / "table.csv").write_text("committed")
    monkeypatch.setattr(sys, "argv", ["table", str(OWN)])
    with pytest.raises(SystemExit, match=r"results/own has no finished run \(0 failed or unfinished\)"):
        runpy.run_module("attrpriors.table", run_name="__main__")
    assert [path.name for path in OWN.iterdir()] == ["table.csv"]
    assert (OWN / "table.csv").read_text() == "committed"


def test_a_run_that_was_refused_counts_as_failed_until_its_config_is_back() -> None:
    runs("gini", {0: 1.0})
    conf = Path("conf/config.yaml")
    before = conf.read_text()
    conf.write_text(before.replace("epochs: 3", "epochs: 4"))
    runs("gini", {0: 1.0, 1: 2.0})
    assert summary().loc["gini", ["n", "failed"]].tolist() == [1, 1]
    assert "epochs is 3 there and 4 here" in read(OWN).failed["message"].iloc[0]
    conf.write_text(before)
    shutil.rmtree(OWN / "prior=gini,seed=1")
    runs("gini", {0: 1.0})
    assert read(OWN).failed.empty


def test_a_record_of_members_counts_as_the_runs_that_it_holds() -> None:
    runs("none", {0: 1.0, 1: 5.0, 2: 2.0, 7: 100.0})
    tiny.run("prior=gini", "seed=[0,1]", task=members({0: 2.0, 1: 7.0}), mode="MULTIRUN")
    tiny.run("prior=gini", "seed=[2]", task=members({2: 5.0}), mode="MULTIRUN")
    tiny.run("prior=gini", "seed=8", task=measured(("r2", -50.0)), mode="MULTIRUN")
    found = read(OWN)
    gini = found.rows[(found.rows["method"] == "gini") & (found.rows["metric"] == "r2")]
    assert gini[["seed", "member", "value"]].values.tolist() == [[0, 0, 2.0], [1, 1, 7.0], [2, 0, 5.0], [8, -1, -50.0]]
    assert summary().loc["gini", ["mean", "n", "failed"]].tolist() == [-9.0, 4, 0]
    row = compare(found).iloc[0]
    assert (row["prior"], row["against"], row["n"]) == ("gini", "none", 3)
    assert [row["difference"], row["t"]] == pytest.approx([2, 3.464102])  # as of single runs, above
    assert summary("seconds_per_epoch")["n"].to_dict() == {"none": 4, "gini": 3}  # a record has one clock
    assert len(found.manifests) == 7


def test_strengths_of_one_record_are_methods_of_their_own() -> None:
    rows = [("r2", weight * (1 + seed), {"seed": seed, "weight": weight}) for seed in (0, 1) for weight in (0.1, 1e39)]
    labels = [labels for _, _, labels in rows]
    task = lambda cfg: Outcome(rows, pd.DataFrame(), {}, Provenance("rows"), 1, labels)  # noqa: E731
    tiny.run("prior=gini", "prior.weight=[0.1,1e39]", "seed=[0,1]", task=task, mode="MULTIRUN")
    found = summary()
    assert found["n"].to_dict() == {"gini, weight=0.1": 2, "gini, weight=1e+39": 2}
    assert found["mean"].tolist() == pytest.approx([0.15, 1.5e39])


def test_a_lost_member_is_a_failed_run_of_its_method() -> None:
    tiny.run("prior=gini", "seed=[3,4,5]", task=members({4: 1.0}, {3: "not finite", 5: "no"}), mode="MULTIRUN")
    assert summary().loc["gini", ["mean", "n", "failed"]].tolist() == [1.0, 1, 2]
    failed = read(OWN).failed
    assert failed[["seed", "message"]].values.tolist() == [[3, "seed=3: not finite"], [5, "seed=5: no"]]
    assert set(failed["source"]) == {"real"}
    table.collect(OWN)
    assert "- `prior=gini,seed=3..5`: seed=5: no\n" in (OWN / "table.md").read_text()
    assert len(pd.read_csv(OWN / "rows.csv.gz")) == 1


def test_rows_with_labels_of_their_own_are_runs_that_the_table_tells_apart() -> None:
    for prior, gain in (("none", 0.0), ("gini", 1.0)):
        for seed in (0, 1):
            rows = [("r2", 0.5 + seed + gain, {"explain": "gradient"}), ("r2", 0.25 + gain, {"explain": "random"})]
            tiny.run(f"prior={prior}", f"seed={seed}", task=measured(*rows), mode="MULTIRUN")
    found = summary()
    assert found["mean"].to_dict() == {
        **{"gradient": 1.0, "random": 0.25},  # of plain networks there is no prior to tell of
        **{"gini, explain=gradient": 2.0, "gini, explain=random": 1.25},
    }
    assert (found["n"] == 2).all()
    pairs = compare(read(OWN))
    pair = pairs[(pairs["prior"] == "gini") & (pairs["explain"] == "gradient") & (pairs["against"] == "gradient")]
    assert pair[["difference", "n"]].values.tolist() == [[1.0, 2]]
