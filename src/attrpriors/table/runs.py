"""RUNS: the corridor back: all runs of a results folder, finished, failed and unfinished, as frames."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..record import FAILURE, MANIFEST, ROWS, UNFINISHED, verified
from ..record.setting import canonical, difference, look_up

PLACE = ["data", "source", "model"]  # what is compared at all; the other labels, seed aside, tell methods apart
METHOD = ["prior", "weight", "attribution"]
ROW = ["metric", "value"]
COST = ("seconds_per_epoch", "peak_memory_mb")  # metrics taken from manifests: they differ from time to time


@dataclass(frozen=True)
class Runs:
    """Prior-free runs first, then by their labels; `method` is a name that tells the methods of a place apart."""

    folder: Path
    labels: list[str]  # without the seed
    rows: pd.DataFrame  # setting, member, method, labels, seed, metric, value: a row a metric of a run, COST included
    failed: pd.DataFrame  # setting, member, method, labels, seed, message: a row a failed or unfinished run
    manifests: list[dict[str, Any]]  # of the records, of which one may hold several runs; member is -1 in the others


def read(folder: Path) -> Runs:
    """All runs under `folder`; a run kept under two settings with one and the same config counts once.

    A label that only some runs were given on the command line is looked up in the config of the others. Raises
    ValueError where runs of one method differ in more than their seed (the defaults changed between them).
    """
    finished, failed = [], []
    for path in sorted(folder.glob("*=*/")):
        manifest = None if (path / FAILURE).exists() else verified(path)
        if manifest:
            finished.append(manifest)
        else:
            failed.append(_note(path))
    finished = list({canonical(manifest["config"]): manifest for manifest in reversed(finished)}.values())
    failed += [_lost(manifest, **lost) for manifest in finished for lost in manifest.get("lost", [])]
    runs = [part for manifest in finished for part in _parts(folder, manifest)] + failed
    labels = _complete(runs)
    runs.sort(key=lambda run: _order(run["labels"], labels))
    table = pd.DataFrame([run["labels"] for run in runs], columns=[*labels, "seed"], dtype=object)
    table.insert(0, "method", _methods(table, labels))
    table.insert(0, "member", pd.Series([run.get("member", -1) for run in runs], dtype=int))
    table.insert(0, "setting", pd.Series([run["setting"] for run in runs], dtype=str))
    done = [i for i, run in enumerate(runs) if "rows" in run]
    lost = [i for i, run in enumerate(runs) if "rows" not in run]
    methods = table.loc[done, [*PLACE, "method"]].itertuples(index=False, name=None)
    check_replicates(zip(methods, (runs[i] for i in done), strict=True))
    rows = [runs[i]["rows"].assign(run=i) for i in done]
    place = {runs[i]["setting"]: i for i in reversed(done)}
    return Runs(
        folder,
        labels,
        table.merge(pd.concat(rows), left_index=True, right_on="run").drop(columns="run").reset_index(drop=True)
        if rows
        else table.iloc[:0].assign(metric="", value=0.0),
        table.loc[lost].assign(message=[runs[i]["message"] for i in lost]).reset_index(drop=True),
        sorted(finished, key=lambda manifest: place[manifest["setting"]]),
    )


def _parts(folder: Path, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The runs that a record holds: one, or one for each set of the labels that its rows have of their own."""
    rows = pd.read_csv(folder / manifest["setting"] / ROWS)
    members = manifest.get("members") or [{}]
    seconds = manifest["seconds"].get("per_epoch")
    cost = {COST[0]: seconds, COST[1]: manifest["peak_memory_mb"]}
    cost_rows = pd.DataFrame([(name, value) for name, value in cost.items() if value is not None], columns=ROW)
    own = manifest.get("own") or []
    told: list[dict[str, Any]] = []
    for key, part in rows.groupby(own, sort=False, dropna=False) if own else [((), rows)]:
        values = dict(zip(own, np.array(key, dtype=object).tolist(), strict=True))
        member = next(i for i, labels in enumerate(members) if labels.items() <= values.items())
        method = {label: value for label, value in values.items() if label != "seed"}
        measured = cost_rows if method not in told else cost_rows.iloc[:0]  # once a record: no spread is known
        told.append(method)
        yield {
            **manifest,
            "labels": manifest["labels"] | values,
            "member": member if manifest.get("members") else -1,
            "rows": pd.concat([part[ROW], measured]),
        }


def _lost(manifest: dict[str, Any], labels: Mapping[str, Any], message: str) -> dict[str, Any]:
    """A member that failed, as a run of its own; the message says which."""
    name = ", ".join(f"{label}={value}" for label, value in labels.items())
    return {**manifest, "labels": manifest["labels"] | labels, "message": f"{name}: {message}"}


def _note(path: Path) -> dict[str, Any]:
    """What is known of a failed, unfinished or damaged run: as its manifest, with a message."""
    run: dict[str, Any] = {"setting": path.name, "labels": {}, "choices": {}, "config": {}, "message": "not recorded"}
    for name in (FAILURE, UNFINISHED):
        if (path / name).exists() and (lines := (path / name).read_text().splitlines()):
            return run | json.loads(lines[1]) | {"message": lines[0]}
    return run | {"message": "damaged" if (path / MANIFEST).exists() else "not finished"}


def _complete(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Give every run all labels; their names without the seed."""
    extra = sorted({label for run in runs for label in run["labels"]} - {*PLACE, *METHOD, "seed"})
    labels = [*PLACE, "attribution", "prior", "weight", *extra]
    sources = {run["labels"]["data"]: run["labels"]["source"] for run in runs if "files" in run}
    for run in runs:
        given = run["labels"]
        found = {label: look_up(run["config"], run["choices"], label) for label in [*labels, "seed"]}
        run["labels"] = found | given
        run["labels"]["source"] = given.get("source") or sources.get(given.get("data"), "")
    return labels


def _order(values: Mapping[str, Any], labels: Sequence[str]) -> list[tuple[bool, Any]]:
    first = [*PLACE, "prior", "weight", "attribution"]
    keys = [*first, *(label for label in labels if label not in first), "seed"]
    ordered = [(isinstance(values[key], str), values[key]) for key in keys]
    ordered.insert(len(PLACE), (values["prior"] != "none", 0))
    return ordered


def _methods(table: pd.DataFrame, labels: Sequence[str]) -> pd.Series:
    """The name of the prior, and as many labels more as it takes to tell methods apart: "gini, weight=0.5"."""
    name = table["prior"].astype(str)
    for label in [*METHOD[1:], *(label for label in labels if label not in PLACE + METHOD)]:
        value = table[label].astype(str)
        several = value.groupby([*(table[key] for key in PLACE), name]).transform("nunique") > 1
        name = name.where(~several, name + f", {label}=" + value)
    return name.str.removeprefix("none, explain=")  # several explanations of plain networks: no prior to tell of


def check_replicates(records: Iterable[tuple[Any, Mapping[str, Any]]]) -> None:
    """ValueError where finished records of one method, given with it, differ in more than their seed."""
    first: dict[Any, Mapping[str, Any]] = {}
    for method, record in records:
        other = first.setdefault(method, record)
        if other["replicate"] != record["replicate"]:
            there, here = ({**one["config"], "seed": None} for one in (other, record))
            raise ValueError(
                f"{other['setting']} and {record['setting']} bear the same labels but differ in their config: "
                f"{difference(there, here)}; give one of them another name=... or remove its folder, "
                "of an earlier part the tables"
            )
