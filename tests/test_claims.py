"""Verdicts on claims, and the check of `make reproduce`, on rows made up so that the answer is known."""

import gzip
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command import planned
from scipy import stats

from attrpriors.report import check, claims, rule

ROOT = Path(__file__).parents[1]
GINI, NONE = {"prior": "gini"}, {"prior": "none"}
DIFFERENCE = {"_target_": "attrpriors.report.rule.difference", "metric": "roc_auc", "of": GINI, "against": NONE}


def rows(metric: str = "roc_auc", **values: list[float]) -> pd.DataFrame:
    """A row for each value of each prior, with its place in the list as seed."""
    table = [
        ("made_up", "real", prior, seed, metric, v) for prior, some in values.items() for seed, v in enumerate(some)
    ]
    return pd.DataFrame(table, columns=["data", "source", "prior", "seed", "metric", "value"])


def test_a_difference_is_paired_by_seed_and_holds_where_its_interval_is_beyond_the_bound() -> None:
    table = rows(none=[0.1, 0.5, 0.9], gini=[0.2, 0.61, 1.02])
    half = stats.t.ppf(0.975, 2) * 0.01 / 3**0.5
    found = rule.difference(table.sample(frac=1, random_state=0), "roc_auc", GINI, NONE, above=0.11 - 1.01 * half)
    assert found.value == pytest.approx(0.11)
    assert found.holds
    assert found.text == f"0.610 against 0.500; difference 0.110 [{0.11 - half:.4f}, {0.11 + half:.3f}], n = 3"
    assert rule.difference(table, "roc_auc", GINI, NONE, above=0.11 - 0.99 * half).holds is None
    assert rule.difference(table, "roc_auc", GINI, NONE, above=0.11 + 0.99 * half).holds is None
    assert rule.difference(table, "roc_auc", GINI, NONE, above=0.11 + 1.01 * half).holds is False
    assert rule.difference(table, "roc_auc", GINI, NONE, below=0.11 - 1.01 * half).holds is False
    assert rule.difference(table, "roc_auc", NONE, GINI, below=0).holds


def test_an_interval_that_includes_the_bound_decides_nothing_nor_does_a_single_run() -> None:
    assert rule.difference(rows(none=[0, 0, 0], gini=[1, 2, 3]), "roc_auc", GINI, NONE, above=0).holds is None
    assert rule.difference(rows(none=[0], gini=[1]), "roc_auc", GINI, NONE, above=0).holds is None


def test_a_level_and_a_ratio_are_of_means() -> None:
    table = rows(none=[2, 2, 2], gini=[0.1, 0.1, 0.1])
    assert rule.level(table, "roc_auc", NONE, above=1.9)[1:] == ("2.00, n = 3", True)
    assert rule.level(table, "roc_auc", NONE, below=2).holds is False
    found = rule.ratio(table, "roc_auc", GINI, NONE, below=0.06)
    assert found.value == pytest.approx(0.05)
    assert found.holds
    assert rule.ratio(table, "roc_auc", GINI, NONE, below=0.04).holds is False


@pytest.mark.parametrize(("ahead", "holds"), [(8, True), (7, None), (4, False)])  # binomial p = 0.0039, 0.035, 0.64
def test_wins_count_metrics_by_their_better_side(ahead: int, holds: bool | None) -> None:
    names = [f"accuracy/gaussian={i}" for i in range(7)] + ["log_loss"]
    tables = []
    for i, name in enumerate(names):
        good, bad = (0, 1) if name == "log_loss" else (1, 0)
        win, lose = (good, bad) if i >= 8 - ahead else (bad, good)
        tables.append(rows(name, gini=[win] * 2, none=[lose] * 2))
    found = rule.wins(pd.concat(tables), "accuracy/.*|log_loss", GINI, NONE)
    assert (found.value, found.holds) == (ahead, holds)
    assert f"{ahead} of 8 metrics" in found.text


def test_axioms_are_kept_within_their_tolerance_and_broken_above_it() -> None:
    table = pd.concat(
        rows(name, none=[value] * 2)
        for axiom, violation in (("dummy", 0.001), ("symmetry", 0.5))
        for name, value in ((axiom, violation), (f"{axiom}_tolerance", 0.01))
    ).assign(explain="gradient", on="network")
    found = rule.axioms(table, "gradient", "network", kept=["dummy"], broken=["symmetry"])
    assert (found.value, found.holds) == (2, True)
    assert found.text == "2 of 2 as said, n = 2; symmetry on network: violated, 0.5 > 0.01"
    assert rule.axioms(table, "gradient", "network", kept=["symmetry"], broken=["dummy"])[::2] == (0, False)


def test_labels_name_one_method() -> None:
    table = rows(none=[1, 2], gini=[1, 2])
    with pytest.raises(ValueError, match="several methods of roc_auc"):
        rule.chosen(table, "roc_auc", {"data": "made_up"})
    again = pd.concat([table.assign(initialisation=0), table.assign(initialisation=1, value=table["value"] + 1)])
    assert rule.chosen(again, "roc_auc", {"prior": "none"}).tolist() == [1.5, 2.5]
    for labels in ({"prior": "graph"}, {"weight": 1}):
        with pytest.raises(LookupError):
            rule.chosen(table, "roc_auc", labels)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An empty project: call it with the entries of the two files and the rows of results/health."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "results/health").mkdir(parents=True)

    def write(entries: object, name: str, table: pd.DataFrame | None) -> None:
        (tmp_path / "experiments" / name).write_text(yaml.safe_dump(entries))
        if table is not None:
            Path("results/health/rows.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False).encode()))

    return write


def test_a_claim_holds_does_not_hold_is_undecided_or_was_not_run(project: Callable[..., None]) -> None:
    claim = {"claim": "more", "source": "a paper", "experiment": "health"}
    ruled = [claim | {"rule": DIFFERENCE | bound} for bound in ({"above": 0}, {"below": 0}, {"above": 0.2})]
    elsewhere = [claim | {"rule": DIFFERENCE | change} for change in ({"of": {"prior": "graph"}}, {"metric": "r2"})]
    absent = claim | {"experiment": "none", "rule": DIFFERENCE}
    project([*ruled, claim, absent, *elsewhere], "claims.yaml", rows(none=[0.1, 0.2], gini=[0.3, 0.41]))
    found = claims.verdicts(Path("results"), Path("experiments/claims.yaml"))
    assert [one.word for one in found] == ["holds", "does not hold on our data", "undecided", *["not run here"] * 4]
    assert found[0].data == "made_up (real)"


def checked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[object, str]:
    """Status, and the words of the table, of `python -m attrpriors.report --check`."""
    monkeypatch.setattr(sys, "argv", ["report", "--check"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("attrpriors.report", run_name="__main__")
    return end.value.code, capsys.readouterr().out


def test_the_check_passes_fails_and_misses_results(
    project: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"claim": "more", "rule": DIFFERENCE | {"above": 0}, "tolerance": 0.05, "because": "seeds"}
    project({"health": [entry | {"reference": 0.2}]}, "reproduce.yaml", rows(none=[0.1, 0.2], gini=[0.3, 0.41]))
    assert checked(capsys, monkeypatch)[0] is None
    project({"health": [entry | {"reference": r} for r in (0.2, 0.3)], "none": [entry | {"reference": 0.2}]},
            "reproduce.yaml", None)  # fmt: skip
    status, text = checked(capsys, monkeypatch)
    assert status == "2 of 3 claims are not as expected"
    assert [line.split()[0] for line in text.splitlines()[2:5]] == ["pass", "FAIL", "MISSING"]
    assert Path("results/report.html").exists()


def test_an_expected_range_ends_where_the_claim_does() -> None:
    arguments = {"claim": "more", "reference": 0.1, "tolerance": 0.3, "because": "seeds"}
    above = check._checked(Path("results"), "none", rule=DIFFERENCE | {"above": 0}, **arguments)
    below = check._checked(Path("results"), "none", rule=DIFFERENCE | {"below": 0.2}, **arguments)
    assert (above.low, above.high) == pytest.approx((0, 0.4))
    assert (below.low, below.high) == pytest.approx((-0.2, 0.2))


def test_every_committed_result_decides_the_claims_about_it(committed: Path) -> None:
    found = claims.verdicts(committed / "results", committed / "experiments/claims.yaml")
    assert {one.word for one in found} <= {"holds", "does not hold on our data", "undecided", "not run here"}
    here = [
        one
        for one in found
        if one.claim.rule and (committed / "results" / one.claim.experiment / "rows.csv.gz").exists()
    ]
    assert [one.claim.claim for one in here if one.word == "not run here"] == []


def test_the_references_of_the_check_are_those_of_the_committed_results(committed: Path) -> None:
    entries = committed / "experiments/reproduce.yaml"
    found = check.checks(committed / "results", entries)
    references = [entry["reference"] for some in yaml.safe_load(entries.read_text()).values() for entry in some]
    assert [one.claim for one in found if one.word != "pass"] == []
    assert [one.value for one in found] == pytest.approx(references, rel=0.005, abs=1e-9)


def test_make_reproduce_runs_the_experiments_that_it_checks() -> None:
    dry = planned("reproduce")
    run = [line.rpartition("experiment=")[2] for line in dry if "experiment=" in line]
    assert run == list(yaml.safe_load((ROOT / "experiments/reproduce.yaml").read_text()))
    assert dry[-1].endswith("-m attrpriors.report --check")
