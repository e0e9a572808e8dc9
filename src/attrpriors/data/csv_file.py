"""A table of one's own: a CSV file with a header line, an observation a row, one column to predict.

A column of numbers is a feature; any other is a category with a feature for each level, "city=Oslo". Empty cells get
the mean of the column, and "age=missing" says where; of categories, "missing" is a level. Everything is learnt from
the training rows: a level that is not among them is none of the levels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split

from attrpriors.data import Dataset, Graph, Output, Provenance, Rows, Scale, Split
from attrpriors.data.columns import Columns, check_spelling

TASKS = ("classes", "binary", "regression")
LEVELS = 10  # different whole numbers in the target, at most, that are taken for classes


def load(
    path: str,
    target: str,
    task: Output | None = None,
    id: str | None = None,
    drop: Sequence[str] = (),
    categories: Sequence[str] = (),
    graph: str | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    *,
    seed: int,
) -> Dataset:
    """The table at `path`, split by `seed` into shares of its rows, or of the owners that the column `id` names.

    Without a `task`, a target of words, or of at most ten different whole numbers, holds classes (two: binary, the
    later one in order is 1), any other is regression: y has mean 0 and variance 1 on the training rows. Shares of
    classes are kept equal. `categories`: columns of numbers that are levels. `graph`: a file of edges between
    features, as of `edges`.
    """
    table = opened(path)
    known(table, {"target": [target], "id": [id] if id else [], "drop": drop, "categories": categories}, path)
    output, y, classes = outcome(table[target], task, path)
    owner = np.arange(len(table)) if id is None else filled(table[id], path).to_numpy(str)
    rows = split(owner, y if classes else None, seed, validation, test, path)
    y, unit = learnable(y, output, rows, f"{path}, column {target}, seed {seed}")
    inputs = table.drop(columns=list({target, id, *drop} - {None}))
    columns = Columns(inputs, rows["train"], categories, path)
    x = columns.encode(inputs, path)
    train, val, tests = (Split(x[i], torch.from_numpy(y[i]), owner[i]) for i in rows.values())
    files = {Path(one).name: digest(one) for one in (path, graph) if one}

    def read(new: str) -> Rows:
        table = opened(new)
        return Rows(columns.encode(table, new), np.arange(len(table)) if id not in table else table[id].to_numpy(str))

    return Dataset(
        "csv",
        output,
        len(classes) if output == "classes" else 1,
        *(train, val, tests),
        Provenance(Path(path).name, files=files),
        features=columns.features,
        groups=columns.groups,
        graph=edges(graph, columns.features) if graph else None,
        classes=classes,
        scale=columns.scale,
        outcome=unit,
        read=read,
    )


def known(table: pd.DataFrame, asked: Mapping[str, Sequence[str]], path: str) -> None:
    """ValueError where a column that a setting names is not there, or the setting is no list."""
    for setting, names in asked.items():
        if isinstance(names, str):
            raise ValueError(f"data.{setting} is a list of columns, as data.{setting}=[{names}]; found {names!r}")
        for name in names:
            if name not in table:
                raise ValueError(
                    f"{path} has no column {name!r} (data.{setting}); its columns are {', '.join(map(str, table))}"
                )


def learnable(
    y: np.ndarray, output: Output, rows: Mapping[str, np.ndarray], where: str
) -> tuple[np.ndarray, Scale | None]:
    """y (N,) as a model learns it, and its scale where it is standardised; every part that needs two outcomes has."""
    for name in ("train", "val", "test") if output == "binary" else ("train",):
        if len(np.unique(y[rows[name]])) < 2:
            raise ValueError(f"{where}: all {len(rows[name])} {name} rows have one outcome; take more rows")
    if output != "regression":
        return y.astype(np.int64 if output == "classes" else np.float32), None
    mean, sd = y[rows["train"]].mean(), y[rows["train"]].std()
    return ((y - mean) / sd).astype(np.float32), Scale(torch.tensor(mean), torch.tensor(sd))


def opened(path: str) -> pd.DataFrame:
    """The table as it is written: words, NaN where a cell is empty or says NA."""
    if not Path(path).is_file():
        raise ValueError(f"{path} is missing: expected a CSV file with a header line")
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
        table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    except (ValueError, UnicodeDecodeError) as error:  # ParserError and EmptyDataError are ValueErrors
        raise ValueError(f"{path} cannot be read as a CSV file: {' '.join(str(error).split())}") from error
    if not isinstance(table.index, pd.RangeIndex):  # the first column was taken for names of the rows
        raise ValueError(f"{path}: rows have more cells than the header line, which has {len(header)}")
    if header.isna().any() or header.duplicated().any():
        raise ValueError(f"{path}: every column has a name of its own in the header line; found {list(header)}")
    if table.empty:
        raise ValueError(f"{path} has no rows")
    return table.rename(columns=str.strip)


def filled(column: pd.Series, path: str) -> pd.Series:
    """The column, or one sentence where a cell of it is empty."""
    if column.isna().any():
        first = int(column.isna().to_numpy().argmax())
        raise ValueError(
            f"{path}: {column.name} is empty in {column.isna().sum()} rows, the first is row {first}, counted from 0"
        )
    return column


def outcome(column: pd.Series, task: Output | None, path: str) -> tuple[Output, np.ndarray, tuple[str, ...]]:
    """Task, y (N,) and the names of the classes, none for regression."""
    if task is not None and task not in TASKS:
        raise ValueError(f"data.task is one of {', '.join(TASKS)}, or null; found {task!r}")
    number = pd.to_numeric(filled(column, path), errors="coerce").to_numpy(np.float64)
    if np.isfinite(number).all():
        levels, place = np.unique(number, return_inverse=True)
        few = len(levels) <= LEVELS and (levels % 1 == 0).all()
        names = tuple(f"{level:g}" for level in levels)
    else:
        if task is None:
            check_spelling(column, "set data.task=classes", path)
        levels, place = np.unique(column.to_numpy(str), return_inverse=True)
        few, names = True, tuple(map(str, levels))
    if len(levels) < 2:
        raise ValueError(f"{path}: {column.name} is {names[0]} in all {len(column)} rows: there is nothing to predict")
    task = task or ("regression" if not few else "binary" if len(levels) == 2 else "classes")
    if task == "binary" and len(levels) != 2:
        raise ValueError(f"{path}: {column.name} has {len(levels)} values, data.task=binary expects 2")
    if task != "regression":
        return task, place, names
    if not np.isfinite(number).all():
        word = column[~np.isfinite(number)].iloc[0]
        raise ValueError(f"{path}: {column.name} holds {word!r}, data.task=regression expects numbers alone")
    return task, number, ()


def split(
    owner: np.ndarray, strata: np.ndarray | None, seed: int, validation: float, test: float, path: str
) -> dict[str, np.ndarray]:
    """Row numbers of train, val and test, drawn by `seed`: shares of the owners, by the class of their first row."""
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ValueError(f"data.validation={validation} and data.test={test}: expected shares with a sum below 1")
    owners, first, place = np.unique(owner, return_index=True, return_inverse=True)
    classes = None if strata is None else strata[first]
    try:
        kept, tests = train_test_split(np.arange(len(owners)), test_size=test, random_state=seed, stratify=classes)
        known = None if classes is None else classes[kept]
        train, val = train_test_split(kept, test_size=validation / (1 - test), random_state=seed, stratify=known)
    except ValueError as error:
        raise ValueError(f"{path} has too few rows to split ({len(owners)}, each id counted once): {error}") from error
    parts = {"train": train, "val": val, "test": tests}
    rows = {name: np.flatnonzero(np.isin(place, part)) for name, part in parts.items()}
    sizes = {name: len(part) for name, part in rows.items()}
    if min(sizes.values()) < 2:
        raise ValueError(f"{path} has too few rows, expected 2 or more in each part: found {sizes}")
    if strata is not None and len(np.unique(strata[rows["train"]])) < len(np.unique(strata)):
        raise ValueError(f"{path}: a class has no training row under seed {seed}; take another seed or more rows")
    return rows


def edges(path: str, features: Sequence[str]) -> Graph:
    """The graph of a CSV file: a header line, two columns of features, their weights in a third (else 1).

    An edge may be listed in both directions, with one weight.
    """
    table = opened(path)
    if len(table.columns) not in (2, 3) or set(table.columns[:2]) <= set(features):
        raise ValueError(
            f"{path}: expected a header line, two columns of features and weights in a third, if any; "
            f"found {', '.join(map(str, table))} in the first line"
        )
    place = {feature: i for i, feature in enumerate(features)}
    for name in table.iloc[:, :2].to_numpy().flat:
        if name not in place:
            raise ValueError(f"{path}: {name!r} is no feature; the features are {', '.join(features)}")
    ends = np.sort(table.iloc[:, :2].map(place.__getitem__).to_numpy(np.int64), axis=1)
    weight = pd.to_numeric(table.iloc[:, 2], errors="coerce") if len(table.columns) == 3 else np.ones(len(table))
    listed = pd.DataFrame({"one": ends[:, 0], "other": ends[:, 1], "weight": weight}).drop_duplicates()
    wrong = (listed["one"] == listed["other"]) | listed.duplicated(["one", "other"]) | ~(listed["weight"] > 0)
    if wrong.any() or np.isinf(listed["weight"]).any():
        row = int((wrong | np.isinf(listed["weight"])).idxmax())
        raise ValueError(
            f"{path}: expected two features and one positive weight for an edge; found {list(table.loc[row])}"
        )
    return Graph(
        torch.from_numpy(listed[["one", "other"]].to_numpy().T.copy()),
        torch.from_numpy(listed["weight"].to_numpy(np.float32)),
    )


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
