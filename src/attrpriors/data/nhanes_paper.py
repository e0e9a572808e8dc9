"""NHANES I, the paper's own table: 13,442 people, 118 columns of 35 variables, death within 15 years. Real data.

arXiv 1906.10670v2, Methods 6. The published label is 1 for those who survived 15 years (74.9 %); here, as in the
other health sets, 1 is a death. A seed gives the split of the paper's replicate of that number.
"""

import numpy as np
import pandas as pd

from attrpriors.data import Dataset, Provenance
from attrpriors.data.download import File, verified
from attrpriors.data.survey import replicate

ADDRESS = (
    "https://raw.githubusercontent.com/suinleelab/attributionpriors/487bd64842f341c918ed08121dc90718eb564789/sparsity"
)
FEATURES = File(
    "nhanes/X_sparsity.csv",
    f"{ADDRESS}/X_sparsity.csv",
    sha256="",  # not recorded by the authors
    git_blob="5dd8543ad05a7b0d39173bc1080b6e6f6d76efa3",
)
LABELS = File(
    "nhanes/y_sparsity.npy",
    f"{ADDRESS}/y_sparsity.npy",
    "5f6ad190e7a97d37ce1de17a54f912a823b72b60391d2fbdfcfa5491a1561d5e",
)
FILES = (FEATURES, LABELS)
PEOPLE, COLUMNS, SURVIVED = 13442, 118, 0.749


def load(seed: int, root: str = "data", train: int = 100, validation: int = 100) -> Dataset:
    """Replicate `seed` of the paper: y is 1 for a death within 15 years."""
    table, death = read(root, FEATURES, LABELS)
    return replicate(
        table,
        death,
        seed=seed,
        train=train,
        validation=validation,
        provenance=Provenance(
            "NHANES I mortality, the paper's table",
            files={FEATURES.path: f"git blob {FEATURES.git_blob}", LABELS.path: LABELS.sha256},
        ),
        name="nhanes_paper",
    )


def read(root: str, features: File, labels: File) -> tuple[pd.DataFrame, np.ndarray]:
    """The table (people, 118) with its columns named "variable=level", and deaths (people,).

    The id of the bytes says which file it is, not that the file holds a table: a repository may store a pointer.
    """
    path = verified(root, features)
    with path.open("rb") as file:
        if file.read(7) == b"version":
            raise ValueError(f"{path} is a git LFS pointer, expected the table itself: fetch it with `git lfs pull`")
    survived = np.load(verified(root, labels), allow_pickle=False)
    table = pd.read_csv(path, index_col=0)
    if table.shape != (PEOPLE, COLUMNS) or survived.shape != (PEOPLE,):
        raise ValueError(
            f"{path} is {table.shape} with {survived.shape} labels: expected {PEOPLE} people x {COLUMNS} columns"
        )
    if not np.isin(survived, [0, 1]).all() or abs(survived.mean() - SURVIVED) > 0.0005:
        raise ValueError(f"the labels have mean {survived.mean():.3f}: expected 0 or 1 with mean {SURVIVED}")
    table.columns = table.columns.str.replace("_is", "=", n=1)
    return table.astype(np.float64), 1 - survived
