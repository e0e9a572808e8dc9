"""RULE: what a claim asks of measured rows; experiments/claims.yaml and reproduce.yaml name one by `_target_`.

Rows are those of results/NAME/rows.csv.gz. `of` and `against` are labels with their values, as many as it takes to name
one method. Intervals are 95 % t intervals over seeds. A rule raises LookupError where the rows have no such method.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import pandas as pd
from scipy import stats

from ..evaluate import better
from ..figure.canvas import half_width
from ..table.verdict import verdict

Labels = Mapping[str, Any]
SIGNIFICANT = 0.01  # p of a count


class Finding(NamedTuple):
    """What a rule found."""

    value: float  # which an expected range is about
    text: str
    holds: bool | None  # None: too few runs to tell


def difference(
    rows: pd.DataFrame, metric: str, of: Labels, against: Labels, above: float | None = None, below: float | None = None
) -> Finding:
    """`of` minus `against`, paired by seed: the whole interval is above, or below, the bound; else undecided."""
    one, other = chosen(rows, metric, of), chosen(rows, metric, against)
    gap = (one - other).dropna()
    low, high = interval(gap)
    text = f"{digits(one.mean())} against {digits(other.mean())}; difference {told(gap)}"
    return Finding(gap.mean(), text, beyond(low, high, above, below))


def level(
    rows: pd.DataFrame, metric: str, of: Labels, above: float | None = None, below: float | None = None
) -> Finding:
    """The mean of `of`: its whole interval is above, or below, the bound; undecided where it includes it."""
    values = chosen(rows, metric, of)
    return Finding(values.mean(), told(values), beyond(*interval(values), above, below))


def ratio(
    rows: pd.DataFrame, metric: str, of: Labels, against: Labels, above: float | None = None, below: float | None = None
) -> Finding:
    """The mean of `of` over that of `against`, in the seeds of both, is above, or below, the bound."""
    pair = pd.DataFrame({"one": chosen(rows, metric, of), "other": chosen(rows, metric, against)}).dropna()
    one, other = pair["one"].mean(), pair["other"].mean()
    value = one / other
    text = f"{digits(one)} over {digits(other)}, ratio {digits(value, 2)}, n = {len(pair)}"
    return Finding(value, text, beyond(value, value, above, below))


def wins(rows: pd.DataFrame, metrics: str, of: Labels, against: Labels) -> Finding:
    """`of` has the better mean in so many of the metrics (a regular expression) that chance would not (binomial).

    Undecided where it is ahead in most, but not in so many.
    """
    names = [name for name in rows["metric"].unique() if pd.Series([name]).str.fullmatch(metrics).item()]
    if not names:
        raise LookupError(f"no metric {metrics}")
    gaps = [chosen(rows, name, of).mean() - chosen(rows, name, against).mean() for name in names]
    ahead = sum(gap < 0 if better(name) == "lower" else gap > 0 for name, gap in zip(names, gaps, strict=True))
    p = stats.binomtest(ahead, len(names), alternative="greater").pvalue
    text = f"{ahead} of {len(names)} metrics (one-sided binomial p = {p:.2g}), n = {len(chosen(rows, names[0], of))}"
    return Finding(ahead, text, True if p < SIGNIFICANT else None if 2 * ahead > len(names) else False)


def axioms(
    rows: pd.DataFrame, method: str, where: str, kept: Sequence[str] = (), broken: Sequence[str] = ()
) -> Finding:
    """On the "network" of every data set, or "closed forms": the verdict is that these are kept, and those broken.

    The finding's value is the number of the axioms that are as said.
    """
    said, count = [], 0
    data = rows["data"].unique()[: 1 if where == "closed forms" else None]  # which are the same beside any data
    for place, axiom in product(data, (*kept, *broken)):
        of = {"explain": method, "on": where, "data": place}
        word, text = verdict(chosen(rows, axiom, of), chosen(rows, f"{axiom}_tolerance", of))
        good = word == ("holds" if axiom in kept else "violated")
        count += good
        if not good or axiom in broken:
            said.append(f"{axiom.replace('_', ' ')} on {where if len(data) == 1 else place}: {text}")
    asked, n = len(data) * len((*kept, *broken)), len(chosen(rows, (*kept, *broken)[0], of))
    return Finding(count, "; ".join([f"{count} of {asked} as said, n = {n}", *said]), count == asked)


def chosen(rows: pd.DataFrame, metric: str, labels: Labels) -> pd.Series:
    """Seed -> value, the mean of its initialisations.

    Raises LookupError where no row bears the labels, ValueError where several methods do.
    """
    if unknown := set(labels) - set(rows):
        raise LookupError(f"rows have no label {', '.join(sorted(unknown))}")
    rows = rows[rows["metric"] == metric]
    for label, value in labels.items():
        rows = rows[rows[label].astype(str) == str(value)]
    values = rows.set_index(["seed", *rows.columns.intersection(["initialisation"])])["value"].astype(float)
    if values.empty:
        raise LookupError(f"no row of {metric} with {dict(labels)}")
    if values.index.has_duplicates:
        raise ValueError(f"{dict(labels)} names several methods of {metric}: give another label")
    return values.groupby("seed").mean()


def interval(values: pd.Series) -> tuple[float, float]:
    half = half_width(values.to_frame()).item()
    return values.mean() - half, values.mean() + half


def told(values: pd.Series) -> str:
    """ "0.124 [0.0233, 0.225], n = 3"."""
    low, high = interval(values)
    bounds = f" [{digits(low)}, {digits(high)}]" if low < high else ""
    return f"{digits(values.mean())}{bounds}, n = {len(values)}"


def digits(value: float, count: int = 3) -> str:
    """So many digits, zeros at the end too: "0.800", "107"."""
    return f"{value:#.{count}g}".removesuffix(".")


def beyond(low: float, high: float, above: float | None, below: float | None) -> bool | None:
    """Whether the interval is beyond the bounds; None where it includes one of them, or is not known."""
    if (above is None or low > above) and (below is None or high < below):
        return True
    return False if (above is not None and high <= above) or (below is not None and low >= below) else None
