"""Made-up data sets, tiny: a table, a drug-like regression with a graph, images; and the last commit."""

import io
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from rows import made_up

from attrpriors.data import Dataset, Graph


@pytest.fixture(scope="session")
def binary() -> Dataset:
    """40 rows of 6 features, the first two decide; the decision is known."""
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(40, 6, generator=draws)
    y = (x[:, 0] + x[:, 1] + 0.3 * torch.randn(40, generator=draws) > 0).float()
    names = tuple(f"variable {i}" for i in range(6))
    truth = torch.tensor([True, True, False, False, False, False])
    return made_up("binary", "binary", x, y, (14, 13, 13), features=names, truth=truth)


@pytest.fixture(scope="session")
def regression() -> Dataset:
    """40 pairs of a drug (2 columns) and a line (3 genes with a weighted graph), with an offset for each drug."""
    draws = torch.Generator().manual_seed(2)
    drug, genes = torch.arange(40) % 2, torch.randn(40, 3, generator=draws)
    x = torch.cat([torch.eye(2)[drug], genes], 1)
    y = genes[:, 0] - 0.5 * genes[:, 1] + 0.1 * torch.randn(40, generator=draws)
    return made_up(
        *("regression", "regression", x, y, (20, 10, 10)),
        offset=torch.tensor([3.0, -2.0])[drug],
        features=("drug a", "drug b", "gene a", "gene b", "gene c"),
        groups={"drug": (0, 1), "gene": (2, 3, 4)},
        graph=Graph(torch.tensor([[2, 3], [3, 4]]), torch.tensor([2.0, 0.5])),
    )


@pytest.fixture(scope="session")
def images() -> Dataset:
    """41 images, 1 x 8 x 8, of three classes: the bright row is at the top, in the middle or below."""
    draws = torch.Generator().manual_seed(3)
    y = torch.arange(41) % 3
    x = 0.2 * torch.rand(41, 1, 8, 8, generator=draws)
    x[torch.arange(41), 0, 3 * y] += 0.6
    return made_up("images", "classes", x, y, (20, 11, 10))


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last commit: results of one's own, in the working tree, need not be in the documents."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return root
    folder = tmp_path_factory.mktemp("commit")
    archive = subprocess.run(["git", "-C", root, "archive", "HEAD"], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture(autouse=True)
def numpy_state_is_kept() -> object:
    """A third party that seeds NumPy's global generator does not reach the next test."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)
