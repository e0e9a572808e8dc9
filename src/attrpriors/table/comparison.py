"""COMPARISON: are two methods different? Paired t tests over seeds, Holm's correction."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from .runs import COST, PLACE, Runs

PAIR = ["metric", "against", "difference", "low", "high", "t", "p", "p_holm", "n"]


def compare(runs: Runs) -> pd.DataFrame:
    """labels, then PAIR: every method against every one before it, the prior-free first, over the seeds of both.

    Holm's correction is over the pairs of one metric, data set and model. The 95 % interval, t and p are NaN with
    fewer than two pairs, and where the differences do not vary.
    """
    tables = []
    for _, place in runs.rows[~runs.rows["metric"].isin(COST)].groupby(PLACE, sort=False):
        methods = [rows for _, rows in place.groupby("method", sort=False)]
        pairs = [_paired(rows, against, runs.labels) for against, rows in combinations(methods, 2)]
        if pairs:
            table = pd.concat(pairs)
            tables.append(table.assign(p_holm=table.groupby("metric")["p"].transform(holm)))
    return pd.concat(tables)[[*runs.labels, *PAIR]] if tables else pd.DataFrame(columns=[*runs.labels, *PAIR])


def _paired(rows: pd.DataFrame, against: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """A row a metric that both methods have: the difference, `rows` minus `against`."""
    one, two = (part.pivot(index="seed", columns="metric", values="value") for part in (rows, against))
    metrics = [metric for metric in rows["metric"].unique() if metric in two]
    seeds = one.index.intersection(two.index)
    one, two = one.loc[seeds, metrics], two.loc[seeds, metrics]
    gap = one - two
    rounding = 1e-12 * np.maximum(one.abs().max(), two.abs().max())
    tested = gap.columns[(gap.max() - gap.min() > rounding) & gap.notna().all()]
    table = pd.DataFrame({"difference": gap.mean(skipna=False), "n": len(seeds)}, index=metrics)
    table[["low", "high", "t", "p"]] = np.nan
    if len(tested):
        test = stats.ttest_rel(one[tested], two[tested])
        low, high = test.confidence_interval(0.95)
        table.loc[tested, ["low", "high", "t", "p"]] = np.stack([low, high, test.statistic, test.pvalue], axis=1)
    table = table.rename_axis("metric").reset_index().assign(against=against["method"].iloc[0])
    return table.assign(**{label: rows[label].iloc[0] for label in labels})


def holm(p: pd.Series) -> pd.Series:
    """Holm's adjusted p values; a NaN is not a test."""
    adjusted = p.copy()
    if p.notna().any():
        adjusted[p.notna()] = multipletests(p.dropna(), method="holm")[1]
    return adjusted
