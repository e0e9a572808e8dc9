"""VERDICTS: which method keeps which axiom, from the rows of a results folder, as tables in verdicts.md."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ...record import sentence, write
from . import AXIOMS

RESOLVED = 0.2  # a tolerance above this share, for its standard errors, decides nothing
CAPTION = (
    f"holds: the violation is at most the tolerance; violated: it is more; noise: it is not more, but the draws of the "
    f"method scatter so much (tolerance above {RESOLVED}) that this says nothing. Means over runs.\n"
)


def verdict(violation: pd.Series, tolerance: pd.Series) -> str:
    """ "violated, 0.96 > 0.01": what most runs say, then the means; how many say so, where they do not agree."""
    said = pd.Series("holds", index=violation.index).mask(tolerance > RESOLVED, "noise")
    said = said.mask(violation > tolerance, "violated")
    most, count = said.value_counts().index[0], said.value_counts().iloc[0]
    share = "" if count == len(said) else f" in {count} of {len(said)}"
    sign = ">" if violation.mean() > tolerance.mean() else "≤"
    return f"{most}{share}, {violation.mean():.2g} {sign} {tolerance.mean():.2g}"


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """A title and a table for the closed forms, the networks of each data set, and the counter-example."""
    values = rows.pivot_table(index=["on", "data", "source", "model", "explain", "seed"], columns="metric")["value"]
    for place, part in values.groupby(["data", "source", "model"]).indices.items():
        yield _verdicts(f"{place[0]} ({place[1]}), model {place[2]}", values.iloc[part].loc["network"])
    closed = values.loc["closed forms"]
    yield _verdicts("closed forms", closed)
    pairs = closed.groupby("explain")[["f1", "f2", "g1", "g2"]].mean().map("{:.3f}".format)
    cells = pd.DataFrame({letter: f"({pairs[f'{letter}1']}, {pairs[f'{letter}2']})" for letter in "fg"})
    title = "the counter-example at (3, 1)\n\nf = ReLU(ReLU(x1) - 1 - ReLU(x2)), g = ReLU(ReLU(x1 - 1) - ReLU(x2))"
    yield f"### {title}\n\n{cells.rename_axis('method').to_markdown()}\n"


def _verdicts(title: str, values: pd.DataFrame) -> str:
    methods = values.groupby("explain")
    cells = {axiom: [verdict(part[axiom], part[f"{axiom}_tolerance"]) for _, part in methods] for axiom in AXIOMS}
    table = pd.DataFrame(cells, index=pd.Index(methods.groups, name="method"))
    return f"### {title}\n\n{table.rename(columns=lambda name: name.replace('_', ' ')).to_markdown()}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="results/axioms")
    folder = parser.parse_args().folder
    try:
        text = "\n".join([CAPTION, *tables(pd.read_csv(folder / "rows.csv.gz"))])
        write(folder / "verdicts.md", text.encode())
    except OSError as error:
        sys.exit(sentence(error))
    print(f"{text}\ntable: {folder / 'verdicts.md'}")
