"""FAMILY: what a table of comparators shows and tests, by what was measured of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Family:
    """Metrics in the order of the columns; differences are less each of `against`."""

    chooses: str  # of validation: the highest mean wins
    score: str  # orders the rows
    shown: tuple[str, ...]
    compared: tuple[str, ...]
    against: tuple[str, ...]
    crossed: bool  # intervals of the score of new replicates and new people; else t intervals over replicates
    digits: int
    caption: str
    biology: tuple[str, ...] = ()  # in a table of their own; "target_rank" has levels: "target_rank/pair=..."


HEALTH = Family(
    chooses="validation_roc_auc",
    score="roc_auc",
    shown=("roc_auc", "average_precision", "gini", "features_90", "truth_precision", "truth_recall"),
    compared=("roc_auc", "gini"),
    against=("none", "gini_eg"),
    crossed=True,
    digits=3,
    caption="mean ± standard error over replicates; strength: the median; collapsed: replicates with a test ROC-AUC "
    "below 0.6",
)
RESPONSE = Family(
    chooses="validation_r2",
    score="r2",
    shown=(
        *("r2", "r2_within_drug", "correlation_within_drug", "spearman_within_drug", "mean_squared_error"),
        *("graph_variation", "truth_average_precision"),
    ),
    biology=(
        *("target_auc", "target_auc_null", "target_auc_p", "target_drugs", "target_rank"),
        *("gene_sets_enriched", "gene_sets_tested"),
    ),
    compared=(
        *("r2", "r2_within_drug", "spearman_within_drug", "graph_variation"),
        *("target_auc", "gene_sets_enriched"),
    ),
    against=("drug/none", "drug/graph"),
    crossed=False,
    digits=4,
    caption="mean ± standard error over n splits by cell line, each the mean of its initialisations; in "
    "brackets the 95 % t interval of the paired difference; p by Holm over the comparators of a column",
)


def family(metrics: Iterable[Any]) -> Family:
    """Of rows with these metrics; where the test part was not read, those of the validation part."""
    names = set(map(str, metrics))
    found = HEALTH if HEALTH.chooses in names else RESPONSE
    if found.score in names:
        return found
    shown, compared = (tuple(f"validation_{metric}" for metric in part) for part in (found.shown, found.compared))
    return replace(found, score=found.chooses, shown=shown, compared=compared)
