"""STRENGTH: the weight of an image prior, chosen on validation rows: the strongest that costs at most a point.

The paper's rule (arXiv 1906.10670, Methods 4, stricter form) takes the weight of least penalty within one point of the
prior-free accuracy, on test images. The penalty falls with the weight; and here test images stay unread.
"""

import pandas as pd

from .runs import PLACE

ACCURACY = "validation_accuracy"
COST = 0.01  # of accuracy, at most


def strengths(table: pd.DataFrame) -> pd.DataFrame:
    """PLACE, prior, weight, ACCURACY, limit, chosen: a row a prior and weight, in a table of validation rows.

    `table` as of table.summarise; empty where it tells of test rows, or of no prior-free run to compare with.
    """
    found = table[table["metric"] == ACCURACY].rename(columns={"mean": ACCURACY})
    if "accuracy" in set(table["metric"]):
        found = found.iloc[:0]
    limit = found[found["prior"] == "none"].groupby(PLACE)[ACCURACY].mean() - COST
    rows = found[found["prior"] != "none"].merge(limit.rename("limit").reset_index(), on=PLACE)
    kept = rows["weight"].astype(float).where(rows[ACCURACY] >= rows["limit"])
    rows["chosen"] = kept == kept.groupby([rows[key] for key in [*PLACE, "prior"]]).transform("max")
    several = rows.groupby([*PLACE, "prior"])["weight"].transform("nunique") > 1
    return rows.loc[several, [*PLACE, "prior", "weight", ACCURACY, "limit", "chosen"]].reset_index(drop=True)
