"""PUBLISHED: what was measured beside what was published, and how often one method is ahead of another.

An experiment's published numbers lie in experiments/NAME.csv: data, a label that tells the methods apart, metric,
published (or "never", of an event; empty: not published). A sweep ends with results/NAME/published.csv and .md.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ..record import write
from . import _cell, summarise
from .runs import PLACE, read

NEVER = "never"


def collect(folder: Path, numbers: str, label: str, compared: Sequence[str] = ()) -> str:
    """Write published.csv and published.md of a results folder; the text of the latter, empty where it shares none.

    `compared`: two methods, the first of which should be ahead.
    """
    runs = read(folder)
    published = pd.read_csv(numbers, comment="#", dtype={"published": str}, keep_default_na=False)
    key = [*PLACE, label, "metric"]
    if label not in runs.rows:
        return ""
    never = runs.rows["value"].isna().groupby([runs.rows[name] for name in key]).sum().rename("never").reset_index()
    table = published.merge(summarise(runs), on=["data", label, "metric"]).merge(never, on=key)
    if table.empty:  # nothing that was published was measured, as on validation rows
        return ""
    number = pd.to_numeric(table["published"], errors="coerce")
    table = table.assign(deviation=table["mean"] / number - 1)
    columns = [*PLACE, label, "metric", "published", "mean", "low", "high", "n", "never", "deviation"]
    text = f"Cells: measured ± half-width of the 95 % t interval (number of runs) / published ({source(numbers)})"
    text += ", deviation where two methods are compared.\n" if compared else ".\n"
    for place, part in table.groupby(PLACE, sort=False):
        data, kind, model = place
        text += f"\n### {data} ({kind}), model {model}\n\n"
        both = len(compared) > 0 and set(compared) <= set(part[label])
        rows = runs.rows[(runs.rows[PLACE] == list(place)).all(axis=1)]
        gaps = paired(rows, part, label, compared) if both else pd.DataFrame()
        text += "".join(f"{line}\n" for line in said(part, gaps, label, compared)) if both else ""
        text += f"{wide(part, gaps, label, compared).to_markdown(disable_numparse=True)}\n"
    write(folder / "published.csv", table[columns].to_csv(index=False, na_rep="nan").encode())
    write(folder / "published.md", text.encode())
    return text


def source(numbers: str) -> str:
    """Where the numbers are from: the first line of their file."""
    return Path(numbers).read_text().partition("\n")[0].removeprefix("# ")


def paired(rows: pd.DataFrame, table: pd.DataFrame, label: str, compared: Sequence[str]) -> pd.DataFrame:
    """metric -> mean difference of the two compared methods, its 95 % t interval over seeds, n, the published one."""
    one, other = compared
    rows = rows[rows[label].isin([one, other]) & rows["metric"].isin(table["metric"])]
    values = rows.pivot(index=["metric", "seed"], columns=label, values="value").astype(float)
    gap = (values[one] - values[other]).groupby("metric")  # of the seeds that both have
    half = stats.t.ppf(0.975, gap.count() - 1) * gap.sem()
    gaps = pd.DataFrame({"mean": gap.mean(), "low": gap.mean() - half, "high": gap.mean() + half, "n": gap.count()})
    numbers = table.assign(number=pd.to_numeric(table["published"])).pivot(
        index="metric", columns=label, values="number"
    )
    return gaps.assign(published=numbers[one] - numbers[other]).reindex(table["metric"].unique())


def said(table: pd.DataFrame, gaps: pd.DataFrame, label: str, compared: Sequence[str]) -> Iterator[str]:
    """Sentences: how often the first of two methods is ahead, and how far the numbers are from the published ones."""
    one, other = compared
    yield (
        f"{one} is ahead of {other} in {ahead(gaps['mean'])}; published: {ahead(gaps['published'])}. "
        f"The paired interval is above zero in {(gaps['low'] > 0).sum()} metrics, "
        f"below zero in {(gaps['high'] < 0).sum()}."
    )
    yield ""
    far = table[table[label].isin(compared)].set_index("metric")["deviation"].abs()
    yield f"Deviation of the two from the published numbers: median {far.median():.1%}, at most {far.max():.1%}."
    yield ""


def ahead(difference: pd.Series) -> str:
    """ "17 of 18 metrics (one-sided binomial p = 7.2e-05)"."""
    wins, of = int((difference > 0).sum()), len(difference)
    p = stats.binomtest(wins, of, alternative="greater").pvalue
    return f"{wins} of {of} metrics (one-sided binomial p = {p:.2g})"


def wide(table: pd.DataFrame, gaps: pd.DataFrame, label: str, compared: Sequence[str]) -> pd.DataFrame:
    """A row a metric and a column a method; of a single metric, a row a method."""
    shown = table.assign(deviation=table["deviation"].where(table[label].isin(compared)))
    cells = table.assign(cell=[cell(row) for _, row in shown.iterrows()])
    index, columns = ("metric", label) if table["metric"].nunique() > 1 else (label, "metric")
    pivot = cells.pivot(index=index, columns=columns, values="cell")
    pivot = pivot.reindex(index=table[index].unique(), columns=table[columns].unique())
    if len(gaps):
        numbers = gaps.assign(published=gaps["published"].map("{:.3f}".format), never=0, deviation=np.nan)
        pivot.insert(2, "difference", [cell(row) for _, row in numbers.iterrows()])
    return pivot


def cell(row: pd.Series) -> str:
    """ "3.758 ± 0.140 (10) / 3.800, -1.1 %", or in how many runs never."""
    text = _cell(row["mean"], row["high"], row["n"])
    if row["never"]:
        text = NEVER if row["never"] == row["n"] else f"{NEVER} in {row['never']} of {row['n']} runs"
    text += f" / {row['published']}" if row["published"] != "" else ""
    return text if np.isnan(row["deviation"]) else f"{text}, {100 * row['deviation']:+.1f} %"
