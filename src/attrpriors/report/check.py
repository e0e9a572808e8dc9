"""CHECK: what `make reproduce` gave beside what it should give, claim by claim.

experiments/reproduce.yaml holds the entries of each experiment: a claim, the rule that measures it, the value of our
own reference runs, a tolerance and its reason. Expected is the reference within the tolerance, on the claim's side.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from .claims import found, measured

PASS, FAIL, MISSING = "pass", "FAIL", "MISSING"


@dataclass(frozen=True)
class Check:
    """An expected range and what was measured."""

    experiment: str
    claim: str
    low: float
    high: float
    because: str
    value: float | None  # None: no results
    text: str

    @property
    def word(self) -> str:
        if self.value is None:
            return MISSING
        return PASS if self.low <= self.value <= self.high else FAIL

    @property
    def expected(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def checks(results: Path, entries: Path) -> list[Check]:
    """A check for every entry of the file, in its order; without a file, none."""
    experiments: Any = OmegaConf.to_container(OmegaConf.load(entries)) if entries.exists() else {}
    return [_checked(results, name, **entry) for name, some in experiments.items() for entry in some]


def _checked(
    results: Path, experiment: str, claim: str, rule: dict[str, Any], reference: float, tolerance: float, because: str
) -> Check:
    low, high = reference - tolerance, reference + tolerance
    low = max(low, rule.get("above", low))
    high = min(high, rule.get("below", high))
    try:
        finding = found(rule, measured(results / experiment))
    except (FileNotFoundError, LookupError):
        return Check(experiment, claim, low, high, because, None, "no results of it here")
    return Check(experiment, claim, low, high, because, finding.value, finding.text)


def table(found: list[Check]) -> str:
    """The checks as text: a line a claim."""
    rows = [(one.word, one.experiment, one.claim, one.expected, _said(one.value)) for one in found]
    columns = ["", "experiment", "claim", "expected", "measured"]
    layout: dict[str, Any] = {
        "tablefmt": "simple",
        "disable_numparse": True,
        "maxcolwidths": [None, None, 60, None, None],
    }
    return pd.DataFrame(rows, columns=columns).to_markdown(index=False, **layout)


def verdict(found: list[Check]) -> str | None:
    """What an exit status says: nothing where all pass."""
    bad = [one for one in found if one.word != PASS]
    return f"{len(bad)} of {len(found)} claims are not as expected" if bad else None


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
