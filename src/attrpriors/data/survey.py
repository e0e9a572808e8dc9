"""The replicate of a survey: 100 people to train on, 100 to validate, the others to test.

Protocol: arXiv 1906.10670v2, Methods 6. Columns are named "variable" or "variable=level".
"""

import numpy as np
import pandas as pd
import torch
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from attrpriors.data import Dataset, Provenance, Split


def replicate(
    table: pd.DataFrame,
    death: np.ndarray,
    *,
    seed: int,
    train: int,
    validation: int,
    provenance: Provenance,
    name: str,
    causes: tuple[str, ...] = (),
) -> Dataset:
    """Data set of `table` (people x columns, NaN where missing) and `death` (0/1), split by `seed`.

    `causes` names the variables that matter, where they are known.
    """
    rows = split(death, seed, train, validation, name)
    x = impute_and_scale(table.to_numpy(dtype=np.float64), rows["train"])
    y, unit = death.astype(np.float32), table.index.to_numpy()
    part = {k: Split(torch.from_numpy(x[i]), torch.from_numpy(y[i]), unit[i]) for k, i in rows.items()}
    features = tuple(map(str, table.columns))
    variables = [feature.partition("=")[0] for feature in features]
    return Dataset(
        name=name,
        output="binary",
        outputs=1,
        train=part["train"],
        val=part["val"],
        test=part["test"],
        provenance=provenance,
        features=features,
        groups={v: tuple(i for i, w in enumerate(variables) if w == v) for v in dict.fromkeys(variables)},
        truth=torch.tensor([variable in causes for variable in variables]) if causes else None,
    )


def split(death: np.ndarray, seed: int, train: int, validation: int, name: str) -> dict[str, np.ndarray]:
    """Row numbers of train, val and test: the two draws of the paper's script, replicate `seed`."""
    people = len(death)
    if train < 2 or validation < 2 or train + validation >= people:
        raise ValueError(
            f"{name} has {people} people, found train={train} and validation={validation}: "
            "expected at least 2 of each and somebody left to test"
        )
    kept, test = train_test_split(np.arange(people), train_size=train + validation, random_state=seed)
    rows = dict(zip(("train", "val"), train_test_split(kept, train_size=train, random_state=seed), strict=True))
    for part, i in rows.items():
        if len(np.unique(death[i])) < 2:
            raise ValueError(
                f"{name}: the {len(i)} {part} people of seed {seed} share one outcome; take more people or another seed"
            )
    return rows | {"test": test}


def impute_and_scale(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Means for missing values, then mean 0 and standard deviation 1, both learnt from the `train` rows.

    A column that no training person answered has no mean to offer: it is 0 for everybody.
    A column that is constant in the training rows is centred and not scaled.
    """
    answered = ~np.isnan(values[train]).all(axis=0)
    values = np.where(answered, values, np.nan)
    steps = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    return steps.fit(values[train]).transform(values).astype(np.float32)
