"""ENRICHMENT: are the genes of a set, a pathway, more important than others? Preranked GSEA by gseapy.

Subramanian et al. 2005 (doi 10.1073/pnas.0506580102), on the mean |phi| of every gene, as Erion et al. 2021 (sec. 2.4).
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..data import Dataset
from . import Row

SIGNIFICANT = 0.05  # false discovery rate
SIZES = (2, 500)  # genes of a set that are in the panel
PERMUTATIONS = 1000  # of the genes: the null


def enriched(
    importance: np.ndarray, genes: np.ndarray, sets: str, data: Dataset
) -> tuple[list[Row], dict[str, np.ndarray]]:
    """How many sets are enriched among the genes of largest importance (G,); their scores as arrays.

    sets: "data", those of the data set, or the path of a GMT file. Arrays: gene_set, normalised enrichment score and
    false discovery rate, the highest score first.
    """
    table = prerank(pd.Series(importance, genes), data.gene_sets if sets == "data" else gmt(sets))
    count = int(((table["nes"] > 0) & (table["fdr"] < SIGNIFICANT)).sum())
    rows: list[Row] = [("gene_sets_enriched", float(count)), ("gene_sets_tested", float(len(table)))]
    return rows, {"gene_set": table.index.to_numpy(str), "nes": table["nes"].to_numpy(), "fdr": table["fdr"].to_numpy()}


def gmt(path: str) -> dict[str, tuple[str, ...]]:
    """Set -> genes, of a GMT file: a line a set, tabs between its name, a description and its genes."""
    if not Path(path).is_file():
        raise ValueError(f"evaluate.gene_sets is data or a GMT file; found {path!r}, which is no file")
    sets = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        name, *rest = line.rstrip("\t").split("\t")
        if len(rest) < 2 or not name:
            raise ValueError(f"{path}, line {number}: expected a name, a description and genes between tabs")
        sets[name] = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
    return sets


def prerank(importance: pd.Series, sets: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """nes and fdr of each set that has SIZES genes among those of `importance`, the highest score first."""
    known = {name: sum(gene in importance.index for gene in genes) for name, genes in sets.items()}
    if not any(SIZES[0] <= size <= SIZES[1] for size in known.values()):
        raise ValueError(f"none of the {len(sets)} gene sets has {SIZES[0]} to {SIZES[1]} of the genes of the data set")
    try:
        import gseapy  # an extra: pip install gseapy
    except ImportError as error:
        raise ValueError("evaluate.gene_sets needs the package gseapy: pip install gseapy") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pandas, about gseapy's own calls
        found = gseapy.prerank(
            rnk=importance.sort_values(ascending=False),
            gene_sets={name: list(genes) for name, genes in sets.items()},
            min_size=SIZES[0],
            max_size=SIZES[1],
            permutation_num=PERMUTATIONS,
            threads=1,
            seed=0,
            outdir=None,
            no_plot=True,
        ).res2d
    table = found.set_index("Term")[["NES", "FDR q-val"]].astype(float).set_axis(["nes", "fdr"], axis=1)
    return table.sort_values("nes", ascending=False, kind="stable")
