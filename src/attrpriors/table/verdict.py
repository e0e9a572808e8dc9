"""VERDICT: which attribution keeps which axiom, from the violations and tolerances that evaluate=axioms measures."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ..evaluate.axioms import AXIOMS
from ..record import write
from .runs import PLACE, read

RESOLVED = 0.25  # a tolerance above this share, for its standard errors, decides nothing
CAPTION = (
    f"holds: the violation is at most the tolerance; violated: it is more; noise: it is not more, but the draws of the "
    f"method scatter so much (tolerance above {RESOLVED}) that this says nothing. Means over runs.\n"
)
COUNTER_EXAMPLE = "f = ReLU(ReLU(x1) - 1 - ReLU(x2)), g = ReLU(ReLU(x1 - 1) - ReLU(x2)), baseline 0"


def collect(folder: Path) -> str:
    """Write verdicts.md of a results folder; its text."""
    text = "\n".join([CAPTION, *tables(read(folder).rows)])
    write(folder / "verdicts.md", text.encode())
    return text


def verdict(violation: pd.Series, tolerance: pd.Series) -> tuple[str, str]:
    """ "violated", "violated, 0.96 > 0.01": what most runs say, the worse of a tie; how many say so; the means."""
    said = pd.Series("holds", index=violation.index).mask(tolerance > RESOLVED, "noise")
    said = said.mask(violation > tolerance, "violated")
    counts = {word: int((said == word).sum()) for word in ("violated", "noise", "holds")}
    most = max(counts, key=counts.__getitem__)  # the first of the largest
    share = "" if counts[most] == len(said) else f" in {counts[most]} of {len(said)}"
    sign = ">" if violation.mean() > tolerance.mean() else "≤"
    return most, f"{most}{share}, {violation.mean():.2g} {sign} {tolerance.mean():.2g}"


def violations(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a run and method, a column a metric; the closed forms, which no data set changes, are of every run."""
    index = ["on", *PLACE, "explain", "seed"]
    return rows.pivot(index=index, columns="metric", values="value").astype(float)


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """A title and a table for the network of each data set, for the closed forms, and for the counter-example."""
    values = violations(rows)
    networks, closed = values.loc[["network"]].droplevel(0), values.loc[["closed forms"]].droplevel(0)
    for (data, source, model), part in networks.groupby(PLACE):
        yield _verdicts(f"{data} ({source}), model {model}", part)
    yield _verdicts("closed forms", closed)
    means = closed.groupby("explain")[["f1", "f2", "g1", "g2"]].mean()
    cells = {f: [f"({one:.3f}, {two:.3f})" for one, two in means[[f"{f}1", f"{f}2"]].values] for f in "fg"}
    table = pd.DataFrame(cells, index=means.index.rename("method")).to_markdown()
    yield f"### the counter-example at (3, 1)\n\n{COUNTER_EXAMPLE}\n\n{table}\n"


def _verdicts(title: str, values: pd.DataFrame) -> str:
    methods = values.groupby("explain")
    cells = {axiom: [verdict(part[axiom], part[f"{axiom}_tolerance"])[1] for _, part in methods] for axiom in AXIOMS}
    table = pd.DataFrame(cells, index=pd.Index(methods.groups, name="method"))
    return f"### {title}\n\n{table.rename(columns=lambda name: name.replace('_', ' ')).to_markdown()}\n"
