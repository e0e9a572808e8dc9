"""REDUNDANT FEATURE: two features that are equal in training, and independent in the test; the first is the outcome.

The data of the authors' convergence demo (attributionpriors, "Convergence Demo.ipynb"): each value is 0 or 1, equally
often. All rows follow the seed.
"""

import numpy as np
import torch
from torch import Tensor

from attrpriors.data import Dataset, Provenance, Split


def load(train: int = 960, validation: int = 100, test: int = 1000, *, seed: int) -> Dataset:
    """Rows (x1, x2) with y = x1; validation rows are as the training rows. `truth` marks x1."""
    if min(train, validation, test) < 1:
        raise ValueError(f"redundant_feature: train={train}, validation={validation} and test={test} must be 1 or more")
    draws = np.random.default_rng(seed)

    def part(name: str, rows: int, equal: bool) -> Split:
        x = torch.from_numpy(draws.integers(0, 2, size=(rows, 2)).astype(np.float32))
        x = x[:, :1].repeat(1, 2) if equal else x
        y: Tensor = x[:, 0].clone()
        return Split(x, y, np.array([f"{name}/{row}" for row in range(rows)]))

    return Dataset(
        name="redundant_feature",
        output="binary",
        outputs=1,
        train=part("train", train, equal=True),
        val=part("validation", validation, equal=True),
        test=part("test", test, equal=False),
        provenance=Provenance("Redundant feature", kind="generated"),
        features=("x1", "x2"),
        truth=torch.tensor([True, False]),
    )
