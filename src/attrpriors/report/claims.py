"""CLAIMS: what the papers say, each with the verdict of its rule on the measured rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from ..build import build
from .rule import Finding

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold on our data", "undecided", "not run here"


@dataclass(frozen=True)
class Claim:
    """An entry of experiments/claims.yaml; without a rule, nothing here measures it."""

    claim: str
    source: str
    experiment: str = ""  # a folder of results/
    published: str = ""
    rule: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Verdict:
    """A claim, what was measured, and on which data."""

    claim: Claim
    word: str
    measured: str = ""
    data: str = ""


def verdicts(results: Path, claims: Path) -> list[Verdict]:
    """The verdict on every claim of the file, in its order; without a file, none."""
    entries: Any = OmegaConf.to_container(OmegaConf.load(claims)) if claims.exists() else []
    return [_judged(results, Claim(**entry)) for entry in entries]


def _judged(results: Path, claim: Claim) -> Verdict:
    try:
        if claim.rule is None:
            return Verdict(claim, ABSENT)
        rows = measured(results / claim.experiment)
        finding = found(claim.rule, rows)
    except (FileNotFoundError, LookupError):
        return Verdict(claim, ABSENT)
    word = OPEN if finding.holds is None else HOLDS if finding.holds else FAILS
    return Verdict(claim, word, finding.text, _data(claim.rule, rows))


def _data(rule: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """ "mnist (real)"; closed forms are the same beside any data."""
    if rule.get("where") == "closed forms":
        return "closed forms"
    of = rule.get("of", {})
    places = rows[rows["data"] == of["data"]] if "data" in of else rows
    return ", ".join(f"{data} ({source})" for data, source in places[["data", "source"]].drop_duplicates().values)


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a table, its cells not padded to the longest."""
    rows = [("claim", "verdict", "measured [95 % interval]"), ("---", "---", "---")]
    rows += [(one.claim.claim, one.word, f"{one.measured}; {one.data}" if one.data else "–") for one in verdicts]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def found(rule: Mapping[str, Any], rows: pd.DataFrame) -> Finding:
    """What a rule of a YAML file finds in the rows of an experiment."""
    finding: Finding = build(OmegaConf.create(dict(rule)), rows=rows)
    return finding


def measured(folder: Path) -> pd.DataFrame:
    """The rows of a results folder. Raises FileNotFoundError without them."""
    path = folder / "rows.csv.gz"
    return _rows(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)  # claims of one experiment follow each other
def _rows(path: Path, written: int) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, low_memory=False, na_values={"value": ["nan"]})
