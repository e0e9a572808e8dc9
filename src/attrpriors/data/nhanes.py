"""NHANES I: death within some years of the examination, from 18 survey variables of 9,932 adults. Real data.

Source: the tables of the shap package, examined 1971 to 1975 and followed to 1992 (NHEFS).
Coding: 16 numbers, "Sex=female" 0/1 and one column for each of the three races: 20 features.
"""

import functools
from pathlib import Path

import numpy as np
import pandas as pd

from attrpriors.data import Dataset, Provenance
from attrpriors.data.download import File, verified
from attrpriors.data.survey import replicate

ADDRESS = "https://raw.githubusercontent.com/shap/shap/df974a1966294b9c7acebb1373fd6dc5445d1d3d/data"
FEATURES = File(
    "nhanes/NHANESI_subset_X.csv",
    f"{ADDRESS}/NHANESI_subset_X.csv",
    "cef5336deb83640da63adb3a36ddd436da49f685480c87a37c8b2959602bcb99",
)
FOLLOW_UP = File(
    "nhanes/NHANESI_subset_y.csv",
    f"{ADDRESS}/NHANESI_subset_y.csv",
    "a26b0d295c0bbad0aa8034be8598274e35bd43c98e5a25cfcb407453cae4d7aa",
)
FILES = (FEATURES, FOLLOW_UP)

# numbers that mean "not measured" or "unacceptable": 390 people, and 1,849 + 464 people
MISSING = {"Poverty index": [999.0], "Red blood cells": [77.7, 88.8]}
SEX = {1.0: 0.0, 2.0: 1.0}
RACE = {1.0: "white", 2.0: "black", 3.0: "other"}
HORIZON = (1, 18)  # years; after 18 the living leave the follow-up, and only deaths would stay


def load(seed: int, root: str = "data", horizon: float = 15, train: int = 100, validation: int = 100) -> Dataset:
    """Replicate `seed`: y is 1 for a death within `horizon` years; people of unknown outcome are left out."""
    earliest, latest = HORIZON
    if not earliest <= horizon <= latest:
        raise ValueError(f"horizon is {horizon}: expected {earliest} to {latest} years")
    paths = verified(root, FEATURES), verified(root, FOLLOW_UP)
    return _load(seed, paths, (FEATURES.sha256, FOLLOW_UP.sha256), horizon, train, validation)


@functools.lru_cache(maxsize=1)  # members of an ensemble ask for one replicate after the other
def _load(
    seed: int, paths: tuple[Path, Path], sums: tuple[str, str], horizon: float, train: int, validation: int
) -> Dataset:
    """The same, from files with these checksums."""
    table, follow_up = (pd.read_csv(path, index_col=0) for path in paths)
    dies = death(follow_up["y"], horizon).dropna()
    return replicate(
        coded(table).loc[dies.index],
        dies.to_numpy(),
        seed=seed,
        train=train,
        validation=validation,
        provenance=Provenance("NHANES I mortality", files={file.path: file.sha256 for file in FILES}),
        name="nhanes",
    )


def death(follow_up: pd.Series, horizon: float) -> pd.Series:
    """1 died within `horizon` years, 0 lived longer, NaN not known.

    `follow_up` is signed: y > 0 died after y years, y < 0 was alive after -y years, 0 was never traced.
    """
    died = (follow_up > 0) & (follow_up <= horizon)
    lived = (follow_up > horizon) | (follow_up <= -horizon)
    return pd.Series(np.select([died, lived], [1.0, 0.0], np.nan), index=follow_up.index)


def coded(table: pd.DataFrame) -> pd.DataFrame:
    """The 18 variables as 20 columns in the source's order, codes for a missing value turned into NaN."""
    columns: dict[str, pd.Series] = {}
    for variable, answer in zip(map(str, table.columns), table.to_numpy().T, strict=True):
        if variable == "Sex":
            columns["Sex=female"] = table["Sex"].map(SEX)
        elif variable == "Race":
            columns |= {f"Race={race}": (table["Race"] == code).astype(float) for code, race in RACE.items()}
        else:  # the file holds 88.80000000000001
            codes = MISSING.get(variable, [])
            columns[variable] = table[variable].mask(np.isclose(answer[:, None], codes).any(axis=1))
    return pd.DataFrame(columns)
