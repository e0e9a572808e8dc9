"""EDGE LIST: a gene network from a file of yours: a line an edge, two genes and a weight, with or without a header.

Genes are approved symbols or, all of them, Entrez numbers, as in the tissue networks of HumanBase ("top edges").
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pooch

from attrpriors.data.download import File, verified


def edges(
    path: str, genes: Sequence[str] | pd.Index, threshold: float, symbols: File, root: str
) -> tuple[np.ndarray, np.ndarray]:
    """Places in `genes` (2, E) and weights (E,) of the edges above `threshold` between two of the genes, each once.

    Of an edge that is listed more than once the largest weight counts. symbols: the table of Entrez numbers and
    approved symbols, read where the file has numbers. ValueError where the file is none, or no edge is left.
    """
    table = listed(path)
    ends = table[["one", "other"]].to_numpy(str)
    if np.char.isdigit(ends).all():
        known = pd.read_csv(verified(root, symbols), sep="\t", dtype=str, keep_default_na=False)
        number = known.set_index("NCBI Gene ID(supplied by NCBI)")["Approved symbol"]
        number = number[~number.index.duplicated() & (number.index != "")]
        ends = np.stack([number.reindex(end).fillna("").to_numpy(str) for end in ends.T], 1)
    places = np.sort(np.stack([pd.Index(genes).get_indexer(pd.Index(end)) for end in ends.T], 1), 1)  # -1: not there
    found = pd.DataFrame({"one": places[:, 0], "other": places[:, 1], "weight": table["weight"].to_numpy()})
    found = found[(found["one"] >= 0) & (found["one"] != found["other"]) & (found["weight"] > threshold)]
    if found.empty:
        raise ValueError(
            f"{path}: none of its {len(table)} edges joins two genes of the data with a weight above {threshold}; "
            f"expected approved symbols or Entrez numbers, found {' and '.join(table[['one', 'other']].iloc[0])}"
        )
    once = found.groupby(["one", "other"])["weight"].max()
    return np.array(once.index.to_list()).T, once.to_numpy()


def listed(path: str) -> pd.DataFrame:
    """one, other, weight: a row an edge of the file; its first line may be a header."""
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}: data.network names a list of edges, two genes and a weight a line")
    table = pd.read_csv(path, sep=r"\s+", header=None, dtype=str, keep_default_na=False)
    if table.shape[1] != 3:
        raise ValueError(f"{path}: expected two genes and a weight a line; found {table.shape[1]} columns")
    table.columns = pd.Index(["one", "other", "weight"])
    weight = pd.to_numeric(table["weight"], errors="coerce")
    wrong = weight.isna() | ~np.isfinite(weight) | (weight < 0)
    wrong.iloc[0] = wrong.iloc[0] and len(table) == 1  # a header
    if wrong.any():
        raise ValueError(
            f"{path}: expected a weight of 0 or more in the third column; found {table['weight'][wrong].iloc[0]!r} "
            f"in line {int(wrong.idxmax()) + 1}"
        )
    return table.assign(weight=weight).dropna()


def digest(path: str) -> str:
    """sha256 of the file."""
    return str(pooch.file_hash(path))
