"""SELECTION: comparators on grids of strengths -> one model for each replicate, chosen on validation in two ways.

best of each replicate: as the paper, for each replicate the strength of best validation ROC-AUC.
one strength: for all replicates the strength of best mean validation ROC-AUC over the tuning replicates, the first
fifth of the seeds, which are not reported.
strengths chosen beforehand: of drug response, where every comparator has a single one.

Models are a row each: place (what is compared at all), comparator, strength, seed, setting and member (where their
arrays are), and their metrics.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..evaluate import better
from ..record import ARRAYS
from .comparison import holm
from .crossed import draws, influence
from .family import family

BEST, ONE = "best of each replicate", "one strength"
BEFOREHAND = "strengths chosen beforehand"
TUNING = 0.2  # of the replicates
COMPARISON = "comparison.csv"  # in the folder of the runs
COLLAPSED = 0.6  # test ROC-AUC below which a network has learnt next to nothing; age alone is far above
KEY = ["comparator", "strength", "seed"]


def chosen(models: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each way of choosing, and its models, a row a comparator and seed; ties go to the weaker strength."""
    known = family(models)
    if not known.crossed and (models.groupby(["place", "comparator"])["strength"].nunique() == 1).all():
        yield BEFOREHAND, models
        return
    chooses = known.chooses
    best = models.groupby(["place", "comparator", "seed"])[chooses].idxmax()
    yield BEST, models.loc[best].reset_index(drop=True)
    seeds = sorted(models["seed"].unique())
    tuning = seeds[: int(TUNING * len(seeds))]
    if tuning:
        tuned = models[models["seed"].isin(tuning)]
        mean = tuned.groupby(["place", *KEY[:2]], as_index=False)[chooses].mean()
        strengths = mean.loc[mean.groupby(["place", "comparator"])[chooses].idxmax(), ["place", *KEY[:2]]]
        yield ONE, models[~models["seed"].isin(tuning)].merge(strengths)


def summary(models: pd.DataFrame) -> pd.DataFrame:
    """A row a comparator and metric: mean, sem, n, the median strength, with ROC-AUC the collapsed replicates."""
    key = ["place", "selection", "comparator"]
    biology = family(models).biology
    metrics = [name for name in models if better(str(name)) or str(name).partition("/")[0] in biology]
    facts = models.groupby(key).agg(strength=("strength", "median"))
    if "roc_auc" in models:
        facts["collapsed"] = (models["roc_auc"] < COLLAPSED).groupby([models[name] for name in key]).sum()
    long = models.melt(key, metrics, "metric").dropna(subset="value")
    table = long.groupby([*key, "metric"])["value"].agg(mean="mean", sem="sem", n="size").reset_index()
    return table.assign(better=table["metric"].map(better)).merge(facts, on=key)


def differences(models: pd.DataFrame, folder: Path | None = None) -> pd.DataFrame:
    """Comparators less each of the family's `against`, paired by seed: difference, t, p, Holm's p, n.

    With the folder of the runs, also the crossed interval of roc_auc, and of how many replicates test scores were at
    hand, now or when the tables before were made; in other families t intervals.
    """
    tables, known = [], family(models)
    for (place, selection), part in models.groupby(["place", "selection"], sort=False):
        redrawn, scored = crossed(part, folder) if folder and known.crossed else ({}, 0)
        for against in known.against:
            for metric in (metric for metric in known.compared if metric in part):
                pairs = part.pivot(index="seed", columns="comparator", values=metric)
                names = [str(n) for n in pairs if against in pairs and n != against and pairs[n].notna().any()]
                rows = [_paired(pairs[name], pairs[against]) | {"comparator": name} for name in names]
                table = pd.DataFrame(rows, columns=["comparator", "difference", "low", "high", "t", "p", "n"])
                spread = [redrawn[n] - redrawn[against] if {n, against} <= set(redrawn) else None for n in names]
                limits = [
                    np.full(2, np.nan) if s is None or metric != known.score else np.percentile(s, [2.5, 97.5])
                    for s in spread
                ]
                if known.crossed and names:
                    table[["low", "high"]] = np.stack(limits)
                    table["scored"] = np.where(table["low"].notna(), scored, 0)
                where: dict[str, Any] = {"place": place, "selection": selection, "metric": metric, "against": against}
                tables.append(table.assign(**where, p_holm=holm(table["p"].astype(float))))
    columns = [
        "place",
        "selection",
        "comparator",
        "metric",
        "against",
        "difference",
        "low",
        "high",
        "t",
        "p",
        "p_holm",
        "n",
        *(["scored"] if known.crossed else []),
    ]
    table = pd.concat(tables, ignore_index=True).reindex(columns=columns)
    return remembered(table, folder / COMPARISON) if folder and known.crossed else table


def remembered(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """With the intervals of the tables before, where a difference is the same and more test scores were at hand."""
    key, drawn = ["place", "selection", "comparator", "metric", "against"], ["low", "high", "scored"]
    before = pd.read_csv(path) if path.exists() else pd.DataFrame()
    if not {*key, *drawn, "difference", "n"} <= set(before):
        return table
    before = table[key].merge(before, "left", key)
    same = np.isclose(before["difference"], table["difference"], rtol=0, atol=1e-12) & (before["n"] == table["n"])
    kept = same & (before["scored"] > table["scored"])
    return table.assign(**{name: before[name].where(kept, table[name]).astype(table[name].dtype) for name in drawn})


def _paired(values: pd.Series, against: pd.Series) -> dict[str, float]:
    gap = (values - against).dropna()
    if len(gap) < 2 or np.ptp(gap) == 0:
        return {"difference": gap.mean(), "t": np.nan, "p": np.nan, "n": len(gap)}
    test = stats.ttest_1samp(gap, 0)
    low, high = test.confidence_interval(0.95)
    return {"difference": gap.mean(), "low": low, "high": high, "t": test.statistic, "p": test.pvalue, "n": len(gap)}


def crossed(models: pd.DataFrame, folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """Comparator -> redrawn mean areas; and the number of replicates whose test scores are in the folder.

    Of comparators that were run on every replicate; those of whom no test scores are in the folder are left out.
    """
    added: dict[Any, np.ndarray] = {}  # by the index of models
    for setting, part in models.groupby("setting"):
        path = folder / str(setting) / ARRAYS
        if setting and path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                if "rank" in arrays:
                    rank, outcome = np.atleast_2d(arrays["rank"]), np.atleast_2d(arrays["outcome"])
                    for index, member in part["member"].items():
                        added[index] = influence(rank[member], outcome[member]).astype(np.float32)
    model = models.reset_index().pivot(index="seed", columns="comparator", values="index")  # (R, comparators)
    scored = model.isin(list(added))
    known = model.columns[model.notna().all() & scored.any()]
    hand = scored[known].all(axis=1).to_numpy()
    if known.empty or hand.sum() < 2:
        return {}, 0
    area = {str(name): models.loc[model[name], "roc_auc"].to_numpy() for name in known}
    found = {str(name): np.stack([added[index] for index in model.loc[hand, name]]) for name in known}
    return draws(area, found, hand), int(hand.sum())
