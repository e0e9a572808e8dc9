"""COLUMNS: from the cells of a table to features: numbers, categories, missing values, learnt of its training rows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from attrpriors.data import Scale

MISSING = "missing"


class Columns:
    """Features of a `table` of words, NaN where a cell is empty; means, levels and scales are of the rows `train`.

    A column whose cells are all numbers is a feature, missing ones get the mean, and a second feature "age=missing"
    says where. Any other column, and those in `categories`, has a feature for each level, "city=Oslo" (of which
    "missing" may be one); a row of another level is of none of them. All are scaled to mean 0 and variance 1.
    """

    def __init__(self, table: pd.DataFrame, train: np.ndarray, categories: Sequence[str], path: str) -> None:
        for name in table:
            if name not in categories:
                check_spelling(table[name], f"list {name} in data.categories", path)
        texts = {name for name in table if (numbers(table[name]).isna() & table[name].notna()).any()}
        self.words = [str(name) for name in table if name in texts or name in categories]
        self.numbers = [str(name) for name in table if name not in self.words]
        if table.columns.empty:
            raise ValueError(f"{path} has no column to predict from")
        for name in self.words:
            if 2 * table[name].nunique() > len(table):
                raise ValueError(
                    f"{path}: {name} has {table[name].nunique()} different values in {len(table)} rows, too many for "
                    "a category: list it in data.drop, or name it as data.id"
                )
        imputer = SimpleImputer(add_indicator=True, keep_empty_features=True)
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        parts = ColumnTransformer([("numbers", imputer, self.numbers), ("words", encoder, self.words)])
        self.steps = make_pipeline(parts, StandardScaler())
        self.steps.fit(self.typed(table.iloc[train], path))
        self.variables, self.features = self._names(*parts.named_transformers_.values())
        if len(set(self.features)) < len(self.features):
            raise ValueError(f"{path}: expected features with names of their own; found {', '.join(self.features)}")
        self.scale = Scale(*(torch.from_numpy(v) for v in (self.steps[-1].mean_, self.steps[-1].scale_)))

    def _names(self, imputer: SimpleImputer, encoder: OneHotEncoder) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The column and the name of each feature."""
        named = [(name, name) for name in self.numbers]
        if self.numbers:
            named += [(self.numbers[i], f"{self.numbers[i]}={MISSING}") for i in imputer.indicator_.features_]
        if self.words:
            levels = zip(self.words, encoder.categories_, strict=True)
            named += [(name, f"{name}={level}") for name, own in levels for level in own]
        return tuple(variable for variable, _ in named), tuple(feature for _, feature in named)

    @property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Column -> its features."""
        return {one: tuple(i for i, other in enumerate(self.variables) if other == one) for one in self.variables}

    def typed(self, table: pd.DataFrame, path: str) -> pd.DataFrame:
        """Numbers and words; ValueError where a column is missing or a number is none."""
        for name in [*self.numbers, *self.words]:
            if name not in table:
                raise ValueError(f"{path} has no column {name!r}, which the model takes")
        typed = table[self.words].fillna(MISSING).astype(object)
        for name in self.numbers:
            number = numbers(table[name])
            wrong = table[name].notna() & ~np.isfinite(number)
            if wrong.any():
                found = table.loc[wrong, name].iloc[0]
                raise ValueError(f"{path}: {name} holds {found!r} where a finite number is expected")
            typed[name] = number
        return typed

    def encode(self, table: pd.DataFrame, path: str) -> torch.Tensor:
        """x (N, F) float32."""
        return torch.from_numpy(self.steps.transform(self.typed(table, path)).astype(np.float32))


def check_spelling(column: pd.Series, instead: str, path: str) -> None:
    """ValueError where most cells are numbers, and one is not or is one with commas: "?", "19,635"."""
    cells = column.dropna()
    wrong = numbers(cells).isna()
    if wrong.any() and 2 * numbers(cells.str.replace(",", "")).notna().sum() > len(cells):
        raise ValueError(
            f"{path}: {column.name} holds {cells[wrong].iloc[0]!r} among numbers: write 1234.5 for a number, leave the "
            f"cell empty where it is missing, or {instead}"
        )


def numbers(column: pd.Series) -> pd.Series:
    """The cells as numbers, NaN where they are none."""
    return pd.to_numeric(column, errors="coerce").astype(np.float64)
