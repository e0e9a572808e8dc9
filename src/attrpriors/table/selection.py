"""SELECTION: comparators on grids of strengths -> one model for each replicate, chosen on validation in two ways.

best of each replicate: as the paper, for each replicate the strength of best validation ROC-AUC.
one strength: for all replicates the strength of best mean validation ROC-AUC over the tuning replicates, the first
fifth of the seeds, which are not reported.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..evaluate import better
from ..record import ARRAYS, write
from . import ARROW, Page
from .comparison import holm
from .crossed import draws, influence
from .runs import COST, Runs

BEST, ONE = "best of each replicate", "one strength"
TUNING = 0.2  # of the replicates
COLLAPSED = 0.6  # test ROC-AUC below which a network has learnt next to nothing; age alone is far above
CHOOSES = "validation_roc_auc"
AGAINST = ("none", "gini_eg")
KEY = ["comparator", "strength", "seed"]
COMPARED = ("roc_auc", "gini")
SHOWN = 5  # messages of failed runs
CAPTION = "mean ± standard error over replicates; strength: the median; collapsed: replicates with a test ROC-AUC below"


def collect(runs: Runs) -> None:
    """Write the tables and figures of a folder of comparators, print its tables."""
    from ..figure import comparators

    rows = merged(runs)
    models = wide(rows)
    selected = pd.concat([part.assign(selection=name) for name, part in chosen(models)], ignore_index=True)
    table, compared = summary(selected), differences(selected, runs.folder)
    text = f"Cells: {CAPTION} {COLLAPSED}.\n"
    records = manifests(runs)
    for page in [*pages(table, compared), Page("cost", "", cost(records))]:
        text += f"\n### {page.title}\n\n{page.cells.to_markdown(index=False, disable_numparse=True)}\n"
    if len(runs.failed):
        text += f"\nFailed or unfinished runs: {len(runs.failed)}.\n"
        text += "".join(f"- {message}\n" for message in runs.failed["message"].unique()[:SHOWN])
    kept = rows.drop(columns=["setting", "member", "method", "place", "strength"], errors="ignore")
    files = {
        "table.csv": table.to_csv(index=False, na_rep="nan").encode(),
        "comparison.csv": compared.to_csv(index=False, na_rep="nan").encode(),
        "table.md": text.encode(),
        "rows.csv.gz": gzip.compress(kept.to_csv(index=False, na_rep="nan").encode(), mtime=0),
        "manifests.jsonl": "".join(json.dumps(record) + "\n" for record in records).encode(),
    }
    for name, content in files.items():
        write(runs.folder / name, content)
    comparators.draw(runs.folder, models, selected)
    print(f"\n{text}\ntable: {runs.folder / 'table.csv'}", flush=True)


def holds_comparators(runs: Runs) -> bool:
    """Whether the runs of a folder, or the rows that an earlier sweep left in it, are of comparators."""
    return "comparator" in runs.labels or "comparator" in earlier(runs.folder)


def earlier(folder: Path) -> pd.DataFrame:
    """The rows that the last tables of a folder were made of."""
    path = folder / "rows.csv.gz"
    return pd.read_csv(path, keep_default_na=False, na_values={"value": "nan"}) if path.exists() else pd.DataFrame()


def merged(runs: Runs) -> pd.DataFrame:
    """Rows of the runs and, of parts whose folders are gone, those kept in rows.csv.gz; with place and strength.

    A place is a data set with its source and those of its settings that were chosen.
    """
    tables = [runs.rows[~runs.rows["metric"].isin(COST)], earlier(runs.folder)]
    rows = pd.concat([table for table in tables if len(table)], ignore_index=True)
    rows = rows.assign(place=rows["data"].astype(str) + " (" + rows["source"].astype(str) + ")")
    for label in (label for label in rows if str(label).startswith("data.")):
        rows["place"] += ", " + str(label).removeprefix("data.") + " " + rows[label].astype(str)
    parts = [
        pd.to_numeric(rows[name], errors="coerce").fillna(0) for name in ("weight", "model.dropout") if name in rows
    ]
    rows = rows.assign(strength=sum(parts), seed=rows["seed"].astype(int))  # at most one of the parts is not 0
    where = rows.reindex(columns=["setting", "member"]).fillna({"setting": "", "member": -1}).astype({"member": int})
    return rows.assign(**where).drop_duplicates(["place", *KEY, "metric"], ignore_index=True)


def manifests(runs: Runs) -> list[dict[str, Any]]:
    """Those of the runs, after those of parts whose folders are gone."""
    path, live = runs.folder / "manifests.jsonl", {manifest["setting"] for manifest in runs.manifests}
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record for record in kept if record["setting"] not in live] + runs.manifests


def cost(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Models of each comparator, their seconds, and models a second, evaluation included."""
    rows = [
        (record["labels"].get("comparator", ""), max(len(record["members"]), 1), record["seconds"]["total"])
        for record in records
    ]
    table = pd.DataFrame(rows, columns=["comparator", "models", "seconds"]).groupby("comparator", sort=False).sum()
    table.loc["all"] = table.sum()
    shown = table.assign(models=table["models"].astype(int), seconds=table["seconds"].map("{:.0f}".format))
    return shown.assign(**{"models a second": (table["models"] / table["seconds"]).map("{:.2f}".format)}).reset_index()


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a model: place, comparator, strength, seed, setting and member (where its arrays are), its metrics."""
    table = rows.pivot(index=["place", *KEY, "setting", "member"], columns="metric", values="value")
    return table.astype(float).reset_index().sort_values(["place", *KEY], kind="stable", ignore_index=True)


def chosen(models: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each way of choosing, and its models, a row a comparator and seed; ties go to the weaker strength."""
    best = models.groupby(["place", "comparator", "seed"])[CHOOSES].idxmax()
    yield BEST, models.loc[best].reset_index(drop=True)
    seeds = sorted(models["seed"].unique())
    tuning = seeds[: int(TUNING * len(seeds))]
    if tuning:
        tuned = models[models["seed"].isin(tuning)]
        mean = tuned.groupby(["place", *KEY[:2]], as_index=False)[CHOOSES].mean()
        strengths = mean.loc[mean.groupby(["place", "comparator"])[CHOOSES].idxmax(), ["place", *KEY[:2]]]
        yield ONE, models[~models["seed"].isin(tuning)].merge(strengths)


def summary(models: pd.DataFrame) -> pd.DataFrame:
    """A row a comparator and metric: mean, sem, n, the median strength, the number of collapsed replicates."""
    key = ["place", "selection", "comparator"]
    metrics = [name for name in models if better(str(name))]
    facts = models.groupby(key).agg(
        strength=("strength", "median"), collapsed=("roc_auc", lambda values: int((values < COLLAPSED).sum()))
    )
    long = models.melt(key, metrics, "metric").dropna(subset="value")
    table = long.groupby([*key, "metric"])["value"].agg(mean="mean", sem="sem", n="size").reset_index()
    return table.assign(better=table["metric"].map(better)).merge(facts, on=key)


def differences(models: pd.DataFrame, folder: Path | None = None) -> pd.DataFrame:
    """Comparators less each of AGAINST, paired by seed: difference, t, p, Holm's p, n.

    With the folder of the runs, also the crossed interval of roc_auc.
    """
    tables = []
    for (place, selection), part in models.groupby(["place", "selection"], sort=False):
        redrawn = crossed(part, folder) if folder else {}
        for against in AGAINST:
            for metric in COMPARED:
                pairs = part.pivot(index="seed", columns="comparator", values=metric)
                names = [name for name in pairs if against in pairs and name != against and pairs[name].notna().any()]
                rows = [_paired(pairs[name], pairs[against]) | {"comparator": name} for name in names]
                table = pd.DataFrame(rows, columns=["comparator", "difference", "t", "p", "n"])
                spread = [redrawn[n] - redrawn[against] if {n, against} <= set(redrawn) else None for n in names]
                limits = [np.full(2, np.nan) if s is None else np.percentile(s, [2.5, 97.5]) for s in spread]
                if metric == "roc_auc" and names:
                    table[["low", "high"]] = np.stack(limits)
                where = {"place": place, "selection": selection, "metric": metric, "against": against}
                tables.append(table.assign(**where, p_holm=holm(table["p"].astype(float))))
    return pd.concat(tables, ignore_index=True)


def _paired(values: pd.Series, against: pd.Series) -> dict[str, float]:
    gap = (values - against).dropna()
    if len(gap) < 2 or np.ptp(gap) == 0:
        return {"difference": gap.mean(), "t": np.nan, "p": np.nan, "n": len(gap)}
    test = stats.ttest_1samp(gap, 0)
    return {"difference": gap.mean(), "t": test.statistic, "p": test.pvalue, "n": len(gap)}


def crossed(models: pd.DataFrame, folder: Path) -> dict[str, np.ndarray]:
    """Comparator -> redrawn mean areas, of those whose test scores of every replicate are in the folder."""
    added: dict[int, np.ndarray] = {}
    for setting, part in models.groupby("setting"):
        path = folder / str(setting) / ARRAYS
        if setting and path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                if "rank" in arrays:
                    rank, outcome = np.atleast_2d(arrays["rank"]), np.atleast_2d(arrays["outcome"])
                    for index, member in part["member"].items():
                        added[index] = influence(rank[member], outcome[member]).astype(np.float32)
    full = {
        str(name): part.sort_values("seed")
        for name, part in models.groupby("comparator")
        if set(part.index) <= set(added) and set(part["seed"]) == set(models["seed"])
    }
    if not full or models["seed"].nunique() < 2:
        return {}
    area = {name: part["roc_auc"].to_numpy() for name, part in full.items()}
    return draws(area, {name: np.stack([added[index] for index in part.index]) for name, part in full.items()})


def pages(table: pd.DataFrame, compared: pd.DataFrame) -> Iterator[Page]:
    """For each place and way of choosing: the scores, then the differences."""
    for (place, selection), part in table.groupby(["place", "selection"], sort=False):
        yield Page(str(place), str(selection), scores(part))
        gaps = compared[(compared["place"] == place) & (compared["selection"] == selection)]
        if gaps["t"].notna().any():
            yield Page(str(place), f"{selection}, differences", gap_table(gaps, order(part)))


def order(part: pd.DataFrame) -> list[str]:
    """Comparators by their mean ROC-AUC, the best first."""
    return list(part[part["metric"] == "roc_auc"].sort_values("mean", ascending=False, kind="stable")["comparator"])


def scores(part: pd.DataFrame) -> pd.DataFrame:
    cells = part.assign(cell=[f"{mean:.3f} ± {sem:.3f}" for mean, sem in part[["mean", "sem"]].to_numpy()])
    wanted = [CHOOSES, "roc_auc", "average_precision", "gini", "features_90", "truth_precision", "truth_recall"]
    metrics = [metric for metric in wanted if metric in set(part["metric"])]
    shown = cells.pivot(index="comparator", columns="metric", values="cell").loc[order(part), metrics].fillna("–")
    shown.columns = pd.Index([metric + ARROW[better(metric)] for metric in metrics])
    facts = part.drop_duplicates("comparator").set_index("comparator").loc[shown.index]
    shown["strength"] = [f"{value:.4g}" if value else "–" for value in facts["strength"]]
    return shown.assign(n=facts["n"], collapsed=facts["collapsed"]).reset_index()


def gap_table(gaps: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """ "+0.012 [-0.003, 0.020], t 2.1, p 0.04": the crossed interval where there is one, and Holm's p."""
    cells = []
    for row in gaps.itertuples():
        limits = f" [{row.low:+.3f}, {row.high:+.3f}]" if row.metric == "roc_auc" and np.isfinite(row.low) else ""
        cells.append(f"{row.difference:+.3f}{limits}, t {row.t:.1f}, p {row.p_holm:.2g}")
    column = [f"{metric} – {against}" for metric, against in gaps[["metric", "against"]].to_numpy()]
    shown = gaps.assign(cell=cells, column=column).pivot(index="comparator", columns="column", values="cell")
    return shown.reindex(index=names, columns=list(dict.fromkeys(column))).fillna("–").reset_index()
