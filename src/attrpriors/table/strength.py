"""STRENGTH: the weight of an image prior, chosen on validation rows: the strongest that costs little accuracy.

The paper (arXiv 1906.10670, Methods 4) takes the weight of least penalty within ten points of the prior-free accuracy,
or, stricter, within one, on test images. The penalty falls with the weight; and here test images stay unread.
"""

import pandas as pd

from .runs import PLACE

ACCURACY = "validation_accuracy"
COSTS = (0.01, 0.1)  # of accuracy, at most: the first under which every prior of a place has a weight, else the last


def strengths(table: pd.DataFrame) -> pd.DataFrame:
    """PLACE, prior, weight, ACCURACY, limit, chosen: a row a prior and weight, in a table of validation rows.

    `table` as of table.summarise; empty where it tells of test rows, or of no prior-free run to compare with.
    """
    found = table[table["metric"] == ACCURACY].rename(columns={"mean": ACCURACY})
    if "accuracy" in set(table["metric"]):
        found = found.iloc[:0]
    free = found[found["prior"] == "none"].groupby(PLACE)[ACCURACY].mean()
    rows = found[found["prior"] != "none"].merge(free.rename("free").reset_index(), on=PLACE)
    rows = rows[rows.groupby([*PLACE, "prior"])["weight"].transform("nunique") > 1]
    places = [chosen(place) for _, place in rows.groupby(PLACE, sort=False)] or [rows.assign(limit=0.0, chosen=False)]
    return pd.concat(places)[[*PLACE, "prior", "weight", ACCURACY, "limit", "chosen"]].reset_index(drop=True)


def chosen(place: pd.DataFrame) -> pd.DataFrame:
    """The rows of one place with limit and chosen."""
    for cost in COSTS:
        limit = place["free"] - cost
        kept = place["weight"].astype(float).where(place[ACCURACY] >= limit)
        strongest = kept.groupby(place["prior"]).transform("max")
        if strongest.notna().all():
            break
    return place.assign(limit=limit, chosen=kept == strongest)
