"""Page: the measured tables as Markdown, for people: table.md."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from .case import SAID

CAPTION = "medians (first to third quartile over rounds, each round all of a table's case in turn, in one process)"


def markdown(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> str:
    """The tables that were measured and what they were measured on, both by the name of the table's file."""
    places: dict[str, list[str]] = {}
    for name, entry in manifest.items():
        place = entry["processor"] if entry["device"] == "cpu" else entry["device"]
        sizes = ", quick" if entry["quick"] else ""
        threads = f"{entry['threads']} thread{'s' * (entry['threads'] > 1)}"
        places.setdefault(f"{place}, {threads}, torch {entry['versions']['torch']}{sizes}", []).append(name)
    said = "; ".join(f"{', '.join(names)}: {place}" for place, names in places.items())
    text = f"Cells: {CAPTION}. Measured on {said if len(places) > 1 else next(iter(places))}.\n"
    for name, (title, layout) in LAYOUTS.items():
        if name in tables:
            text += f"\n### {title}\n\n{layout(tables[name]).to_markdown(index=False, disable_numparse=True)}\n"
    return text


def number(value: float) -> str:
    """Three digits: "0.0123", "2.31", "57.2", "1553"."""
    if pd.isna(value):
        return "–"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def between(value: float, low: float, high: float) -> str:
    """ "2.31 (2.28 to 2.35)"."""
    return number(value) if pd.isna(low) else f"{number(value)} ({number(low)} to {number(high)})"


def _steps(table: pd.DataFrame) -> pd.DataFrame:
    cells = [between(*row) for row in table[["ratio_to_plain", "low", "high"]].values]
    wide = table.assign(cell=cells).pivot(index="formulation", columns="case", values="cell")
    wide = wide.reindex(index=table["formulation"].unique(), columns=table["case"].unique())
    plain = table[table["formulation"] == "plain"].set_index("case")["median_ms"]
    cases = list(map(str, wide))
    wide.loc["plain"] = [f"1 ({number(plain[case])} ms)" for case in cases]
    wide.columns = pd.Index([SAID.get(case, case) for case in cases])
    return wide.fillna("–").reset_index()


def _rates(value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A table with `value` and its quartiles in one cell, the other numbers to three digits."""

    def layout(table: pd.DataFrame) -> pd.DataFrame:
        cells = [between(*row) for row in table[[value, "low", "high"]].values]
        return numbers(table.drop(columns=["low", "high"]).assign(**{value: cells}))

    return layout


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Every float to three digits."""
    floats = [name for name in table if pd.api.types.is_float_dtype(table[name])]
    return table.assign(**{str(name): table[name].map(number) for name in floats})


def _memory(table: pd.DataFrame) -> pd.DataFrame:
    wide = table.pivot(index=["case", "method"], columns="k", values="peak_mb").map(number)
    wide.columns = pd.Index([f"k = {k}" for k in wide])
    return wide.reindex(table.set_index(["case", "method"]).index.unique()).reset_index()


LAYOUTS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "steps": ("A training step with a prior, times the step without one", _steps),
    "attribution": (
        "Expected gradients at evaluation, k = 200: rows a second, peak memory",
        _rates("items_per_second"),
    ),
    "memory": ("Peak memory of five explained rows, MB above what was held before", _memory),
    "estimators": (
        "Variance of independent draws over that of the estimator at equal k (quartiles over explained rows)",
        _rates("variance_gain"),
    ),
    "training": ("Training through an estimator", numbers),
    "ensemble": ("Many small models: models a second, times single runs in stock formulation", _rates("speedup")),
    "ceiling": ("What the machine reaches", _rates("value")),
}
