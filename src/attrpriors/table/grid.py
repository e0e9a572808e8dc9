"""GRID: the tables of a folder of comparators, from the runs in it and the rows of parts whose folders are gone."""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..evaluate import better
from ..record import write
from ..record.setting import canonical
from . import ARROW, Page
from .family import Family, family
from .runs import COST, Runs, check_replicates
from .selection import COMPARISON, KEY, chosen, differences, summary

AUTHORS = "serial, authors, default matmul"  # case of the benchmark
CASE = ([512, 128, 32], 100)  # its hidden units and training rows
SHOWN = 5  # messages of failed runs
SETTINGS = ("model", "attribution", "prior", "train", "explain", "evaluate")  # groups that may be labels


def collect(runs: Runs) -> str:
    """Write the tables and figures of a folder of comparators; the text of its tables."""
    from ..figure.genes import draw as draw_genes
    from ..figure.grid import draw

    rows = merged(runs)
    models = wide(rows)
    known = family(models)
    selected = pd.concat([part.assign(selection=name) for name, part in chosen(models)], ignore_index=True)
    lost = runs.failed.reindex(columns=["comparator"])["comparator"].value_counts()
    table = summary(selected).assign(failed=lambda part: part["comparator"].map(lost).fillna(0).astype(int))
    compared = differences(selected, runs.folder)
    text = f"Cells: {known.caption}.\n"
    records = manifests(runs)
    for page in [*pages(table, compared, known), *along(models, known), Page("cost", "", cost(records))]:
        text += f"\n### {page.title}\n\n{page.cells.to_markdown(index=False, disable_numparse=True)}\n"
    if known.crossed:
        text += partly(compared) + authors(runs.folder, records)
    if len(runs.failed):
        text += f"\nFailed or unfinished runs: {len(runs.failed)}.\n"
        text += "".join(f"- {message}\n" for message in runs.failed["message"].unique()[:SHOWN])
    choice = selected[["place", *KEY, "selection"]].merge(rows, on=["place", *KEY])  # again, with how they were chosen
    kept = pd.concat([rows.assign(selection=""), choice])
    own = [] if "strength" in {*runs.labels, *earlier(runs.folder)} else ["strength"]
    kept = kept.drop(columns=["setting", "member", "method", "place", *own], errors="ignore")
    files = {
        "table.csv": table.to_csv(index=False, na_rep="nan").encode(),
        COMPARISON: compared.to_csv(index=False, na_rep="nan").encode(),
        "table.md": text.encode(),
        "rows.csv.gz": gzip.compress(kept.to_csv(index=False, na_rep="nan").encode(), mtime=0),
        "manifests.jsonl": "".join(json.dumps(record) + "\n" for record in records).encode(),
    }
    for name, content in files.items():
        write(runs.folder / name, content)
    draw(runs.folder, models, selected)
    draw_genes(runs)
    return text


def holds_comparators(runs: Runs) -> bool:
    """Whether the runs of a folder, or the rows that an earlier sweep left in it, are of comparators."""
    return "comparator" in runs.labels or "comparator" in earlier(runs.folder)


def earlier(folder: Path) -> pd.DataFrame:
    """The rows that the last tables of a folder were made of."""
    path = folder / "rows.csv.gz"
    whole: dict[str, Any] = {"keep_default_na": False, "na_values": {"value": "nan"}, "low_memory": False}
    rows = pd.read_csv(path, **whole) if path.exists() else pd.DataFrame()
    if "comparator" not in rows:
        return pd.DataFrame()
    return rows[rows["selection"] == ""].drop(columns="selection") if "selection" in rows else rows


def merged(runs: Runs) -> pd.DataFrame:
    """Rows of the runs and, of parts whose folders are gone, those kept in rows.csv.gz; with place and strength.

    A place is a data set with its source and those of its settings that were chosen.
    """
    tables = [runs.rows[~runs.rows["metric"].isin(COST)], earlier(runs.folder)]
    rows = pd.concat([table for table in tables if len(table)], ignore_index=True)
    rows = rows.assign(place=rows["data"].astype(str) + " (" + rows["source"].astype(str) + ")")
    for label in (label for label in rows if str(label).startswith("data.")):
        rows["place"] += ", " + str(label).removeprefix("data.") + " " + rows[label].astype(str)
    rows = rows.assign(comparator=named(rows))
    parts = [
        pd.to_numeric(rows[name], errors="coerce").fillna(0) for name in ("weight", "model.dropout") if name in rows
    ]
    given = pd.to_numeric(rows["strength"], errors="coerce").fillna(0) if "strength" in rows else sum(parts)
    rows = rows.assign(strength=given, seed=rows["seed"].astype(int))  # at most one of the parts is not 0
    where = rows.reindex(columns=["setting", "member"]).astype(object).fillna({"setting": "", "member": -1})
    rows = rows.assign(setting=where["setting"].astype(str), member=where["member"].astype(int))
    draw = rows.columns.intersection(["initialisation"])
    return rows.drop_duplicates(["place", *KEY, *draw, "metric"], ignore_index=True)


def named(rows: pd.DataFrame) -> pd.Series:
    """Comparators, with those of their settings in which runs of one differ: "drug/network, lr 0.001"."""
    name = rows["comparator"].astype(str)
    for label in (str(label) for label in rows if str(label).partition(".")[0] in SETTINGS):
        if label == "model.dropout" and "strength" not in rows:  # itself a strength
            continue
        value = rows[label]  # NaN in the rows of an earlier part that was not given it by hand
        several = value.groupby(rows["comparator"]).transform("nunique", dropna=False) > 1
        name = name.where(~several | value.isna(), name + f", {label.rpartition('.')[2]} " + value.astype(str))
    return name


def manifests(runs: Runs) -> list[dict[str, Any]]:
    """Those of the runs, after those of parts whose folders are gone; ValueError where parts of one grid differ."""
    path, live = runs.folder / "manifests.jsonl", {manifest["setting"] for manifest in runs.manifests}
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    kept = [one for one in kept if "comparator" in one["labels"] and one["setting"] not in live]
    check_replicates((canonical({**one["labels"], "seed": None}), one) for one in [*kept, *runs.manifests])
    return [{**one, "members": count(one)} for one in [*kept, *runs.manifests]]


def count(record: dict[str, Any]) -> int:
    """How many models a record holds; its members are a list, their number in the tables' manifests.jsonl."""
    members = record["members"]
    return members if isinstance(members, int) else max(len(members), 1)


def cost(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Models of each comparator, their seconds, and models a second, evaluation included."""
    rows = [(record["labels"].get("comparator", ""), count(record), record["seconds"]["total"]) for record in records]
    table = pd.DataFrame(rows, columns=["comparator", "models", "seconds"]).groupby("comparator", sort=False).sum()
    table.loc["all"] = table.sum()
    shown = table.assign(models=table["models"].astype(int), seconds=table["seconds"].map("{:.0f}".format))
    return shown.assign(**{"models a second": (table["models"] / table["seconds"]).map("{:.2f}".format)}).reset_index()


def partly(compared: pd.DataFrame) -> str:
    """Of how many replicates the test scores were at hand, where an interval was drawn without those of some."""
    some = compared[(compared["scored"] > 0) & (compared["scored"] < compared["n"])]
    if some.empty:
        return ""
    least = some.sort_values("scored").iloc[0]
    return (
        f"\nWhat other test people would change is taken, in the intervals, from the replicates whose folders are at "
        f"hand: at least {least['scored']:.0f} of {least['n']:.0f}.\n"
    )


def authors(folder: Path, records: Sequence[dict[str, Any]]) -> str:
    """What the authors' loop would need for as many of its networks, if the results that hold the folder time it."""
    path = next((parent / "bench" / "ensemble.csv" for parent in folder.parents if (parent / "bench").exists()), None)
    alike = [one for one in records if one["config"]["model"].get("hidden") == CASE[0]]
    alike = [one for one in alike if one["config"]["data"].get("train") == CASE[1]]
    models = sum(map(count, alike))
    if path is None or not models:
        return ""
    rate = pd.read_csv(path).set_index("case")["models_per_second"].get(AUTHORS)
    if rate is None:
        return ""
    return (
        f"\nThe authors' loop trains {rate:.2f} such networks a second on {CASE[1]} people, with 118 inputs and one "
        f"reference a row (`make bench`): {models / rate / 3600:.1f} hours for the {models:,} of this table, without "
        "their evaluation.\n"
    )


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a model: place, comparator, strength, seed, setting and member (where its arrays are), its metrics.

    Of several initialisations on one split the metrics are means, setting and member those of the first.
    """
    if "initialisation" in rows:
        run = ["place", *KEY, "metric"]
        first, means = rows.drop_duplicates(run), rows.groupby(run)["value"].mean(skipna=False)
        rows = first.drop(columns="value").merge(means, on=run)
    table = rows.pivot(index=["place", *KEY, "setting", "member"], columns="metric", values="value")
    models = table.astype(float).reset_index().sort_values(["place", *KEY], kind="stable")
    return models.sort_values("place", kind="stable", key=lambda places: places.map(by_number), ignore_index=True)


def by_number(place: str) -> tuple[object, ...]:
    """What sorts "train 200" before "train 1000"."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", place))


def pages(table: pd.DataFrame, compared: pd.DataFrame, known: Family) -> Iterator[Page]:
    """For each place and way of choosing: the scores, the biology where it was measured, then the differences."""
    ways = sorted(table.groupby(["place", "selection"], sort=False), key=lambda way: by_number(str(way[0][0])))
    for (place, selection), part in ways:
        yield Page(str(place), str(selection), scores(part, known, (known.chooses, *known.shown)))
        if len(told := part[part["metric"].str.partition("/")[0].isin(known.biology)]):
            yield Page(str(place), f"{selection}, biology", scores(part, known, tuple(told["metric"].unique())))
        gaps = compared[(compared["place"] == place) & (compared["selection"] == selection)]
        if gaps["t"].notna().any():
            yield Page(str(place), f"{selection}, differences", gap_table(gaps, order(part, known), known))


def along(models: pd.DataFrame, known: Family) -> Iterator[Page]:
    """For each place where the strengths are still to be chosen: the validation score of each, mean over replicates."""
    for place, grid in models.groupby("place", sort=False):
        rows = []
        for comparator, part in grid.groupby("comparator", sort=False):
            means = part.groupby("strength")[known.chooses].mean()
            told = ", ".join(f"{strength:.4g}: {value:.4f}" for strength, value in means.items())
            rows.append((comparator, f"{means.idxmax():.4g}", told, len(means)))
        table = pd.DataFrame(rows, columns=["comparator", "best", f"{known.chooses}, by strength", "count"])
        if known.score == known.chooses and (table["count"] > 1).any():
            yield Page(str(place), "strengths", table[table["count"] > 1].drop(columns="count"))


def order(part: pd.DataFrame, known: Family) -> list[str]:
    """Comparators by their mean score, the best first."""
    return list(part[part["metric"] == known.score].sort_values("mean", ascending=False, kind="stable")["comparator"])


def scores(part: pd.DataFrame, known: Family, wanted: Sequence[str]) -> pd.DataFrame:
    """A row a comparator, a column each of the metrics `wanted` that were measured."""
    number = f"{{:.{known.digits}f}}"
    spread = part["sem"].map(f" ± {number}".format).where(part["sem"].notna(), "")  # nothing is known of one replicate
    cells = part.assign(cell=part["mean"].map(number.format) + spread)
    metrics = [metric for metric in dict.fromkeys(wanted) if metric in set(part["metric"])]
    names = order(part, known)
    shown = cells.pivot(index="comparator", columns="metric", values="cell").loc[names, metrics].fillna("–")
    shown.columns = pd.Index([metric + ARROW[better(metric)] for metric in metrics])
    facts = part.drop_duplicates("comparator").set_index("comparator").loc[shown.index]
    shown["strength"] = [f"{value:.4g}" if value else "–" for value in facts["strength"]]
    return shown.assign(**{name: facts[name] for name in ("n", "collapsed") if name in facts}).reset_index()


def gap_table(gaps: pd.DataFrame, names: Sequence[str], known: Family) -> pd.DataFrame:
    """ "+0.012 [-0.003, 0.020], t 2.1, p 0.04": the interval where there is one, and Holm's p."""
    number = f"+.{known.digits}f"
    cells = []
    row: Any
    for row in gaps.itertuples():
        limits = f" [{row.low:{number}}, {row.high:{number}}]" if np.isfinite(row.low) else ""
        cells.append(f"{row.difference:{number}}{limits}, t {row.t:.1f}, p {row.p_holm:.2g}")
    column = [f"{metric} – {against}" for metric, against in gaps[["metric", "against"]].to_numpy()]
    shown = gaps.assign(cell=cells, column=column).pivot(index="comparator", columns="column", values="cell")
    return shown.reindex(index=list(names), columns=list(dict.fromkeys(column))).fillna("–").reset_index()
