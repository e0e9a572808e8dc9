"""BESIDE: the comparators' scores and tests beside those of the paper, which chose for each replicate.

Published: a CSV of comparator, metric, published, t (of the sparse prior, gini_eg, less the comparator).
"""

from pathlib import Path
from typing import Any

import pandas as pd

from ..record import write
from .grid import merged, wide
from .runs import read
from .selection import BEST, chosen, differences, summary

SOURCE = "arXiv 1906.10670v2, for whose data see the card"


def collect(folder: Path, numbers: str) -> str:
    """Write published.csv and published.md of a results folder; the text of the latter."""
    key = ["comparator", "metric"]
    published = pd.read_csv(numbers, comment="#")
    models = dict(chosen(wide(merged(read(folder)))))[BEST].assign(selection=BEST)
    table, compared = summary(models), differences(models)
    compared = compared[compared["against"] == "gini_eg"]
    columns = ["place", *key, "mean", "sem", "n"]
    both = table[columns].merge(published.rename(columns={"t": "t_published"}), on=key)
    both = both.merge(compared[["place", *key, "t"]], on=["place", *key], how="left")
    both = both.assign(t=-both["t"])  # of gini_eg less the comparator
    text = f"Measured ± standard error / published ({SOURCE}); t of the paired test of gini_eg less the comparator.\n"
    for place, part in both.groupby("place", sort=False):
        text += f"\n### {place}\n\n{page(part).to_markdown(disable_numparse=True)}\n"
    write(folder / "published.csv", both.to_csv(index=False, na_rep="nan").encode())
    write(folder / "published.md", text.encode())
    return text


def page(part: pd.DataFrame) -> pd.DataFrame:
    """A row a comparator, in the order of the published numbers."""
    cells: dict[str, dict[str, str]] = {}
    row: Any
    for row in part.itertuples():
        of = cells.setdefault(row.comparator, {})
        of[row.metric] = f"{row.mean:.3f} ± {row.sem:.3f} / {number(row.published, '.3f')}"
        of[f"{row.metric}, t"] = f"{number(row.t, '.1f')} / {number(row.t_published, '.1f')}"
    return pd.DataFrame(cells).T.rename_axis("comparator")


def number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)
