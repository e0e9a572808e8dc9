"""LINEAR 60: the two made-up regressions of the paper's benchmark, 60 features of which ten count.

The 1,000 rows of the SHAP package (Lundberg et al. 2020: shap.datasets.corrgroups60, independentlinear60), number for
number, are the same for every seed. The split follows the seed, as there: train_test_split(test_size=100,
random_state=seed). The validation rows, which the protocol of arXiv 1906.10670, Supplement C, lacks, are drawn anew.
"""

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from attrpriors.data import Dataset, Provenance, Split

ROWS, FEATURES, NOISE = 1000, 60, 0.01  # NOISE: standard deviation
WORLD = 1906_10670  # seeds the validation rows, together with the split


def load_correlated(validation: int = 100, *, seed: int) -> Dataset:
    """Ten groups of three features with correlation 0.99, of which the first counts, and 30 features alone."""
    return _load("correlated_groups_60", "Correlated Groups 60", 0.99, validation, seed)


def load_independent(validation: int = 100, *, seed: int) -> Dataset:
    """The same outcome, from independent features."""
    return _load("independent_linear_60", "Independent Linear 60", 0.0, validation, seed)


def world(correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """x (1000, 60) and y (1000,) of the SHAP package.

    Correlated rows have exactly the covariance that is asked for, independent ones are only centred.
    """
    draws = np.random.RandomState(0)  # NumPy's old generator, as there
    x = draws.randn(ROWS, FEATURES)
    x -= x.mean(0)
    if correlation:
        white = x @ np.linalg.cholesky(np.linalg.inv(x.T @ x / ROWS))
        x = white @ np.linalg.cholesky(covariance(correlation)).T
    return x, x @ coefficients() + NOISE * draws.randn(ROWS)


def covariance(correlation: float) -> np.ndarray:
    """(60, 60): ones on the diagonal, `correlation` between the features of each of the ten groups of three."""
    group = np.minimum(np.arange(FEATURES) // 3, 10)
    together = (group[:, None] == group) & (group < 10)
    return np.where(np.eye(FEATURES) > 0, 1.0, together * correlation)


def coefficients() -> np.ndarray:
    """(60,): one for the first feature of each group, else zero."""
    return ((np.arange(FEATURES) % 3 == 0) & (np.arange(FEATURES) < 30)).astype(float)


def _load(name: str, title: str, correlation: float, validation: int, seed: int) -> Dataset:
    if validation < 2:
        raise ValueError(f"{name}: validation is {validation}: expected 2 rows or more")
    x, y = world(correlation)
    train, test = train_test_split(np.arange(ROWS), test_size=100, random_state=seed)
    draws = np.random.default_rng([WORLD, seed])
    fresh = draws.normal(size=(validation, FEATURES)) @ np.linalg.cholesky(covariance(correlation)).T
    outcome = fresh @ coefficients() + NOISE * draws.normal(size=validation)

    def part(x: np.ndarray, y: np.ndarray, rows: np.ndarray, kind: str) -> Split:
        unit = np.array([f"{kind}/{row}" for row in rows])
        return Split(torch.tensor(x[rows], dtype=torch.float32), torch.tensor(y[rows], dtype=torch.float32), unit)

    return Dataset(
        name=name,
        output="regression",
        outputs=1,
        train=part(x, y, train, "row"),
        val=part(fresh, outcome, np.arange(validation), "fresh"),
        test=part(x, y, test, "row"),
        provenance=Provenance(title, kind="generated"),
        features=tuple(f"feature{i:02}" for i in range(FEATURES)),
        truth=torch.tensor(coefficients() > 0),
    )
