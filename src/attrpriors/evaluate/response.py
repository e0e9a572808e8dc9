"""RESPONSE: how well each drug's responses are ordered, and how the graph variation goes while a network is trained.

Letters: N rows, F features.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .. import prior
from ..attribution import ExpectedGradients
from ..data import Dataset, Split

LEAST = 3  # responses that a drug needs to count


def within_drug(scores: Tensor, split: Split, drugs: int) -> Iterator[tuple[str, float]]:
    """Pearson's and Spearman's correlation of scores (N, 1) and y over the lines of each drug, mean over drugs.

    The first `drugs` columns of x are the drug one-hot. A drug whose lines all have one score counts as 0.
    """
    drug = split.x[:, :drugs].argmax(1).cpu().numpy()
    frame = pd.DataFrame({"score": scores.reshape(-1).cpu().numpy(), "y": split.y.cpu().numpy()}, dtype=float)
    yield "correlation_within_drug", mean_correlation(frame, drug)
    yield "spearman_within_drug", mean_correlation(frame.groupby(drug).rank(), drug)


def mean_correlation(frame: pd.DataFrame, drug: np.ndarray) -> float:
    """Of the columns score and y, over the rows of each drug; drugs with fewer than LEAST rows do not count."""
    frame = frame[pd.Series(drug).groupby(drug).transform("size").to_numpy() >= LEAST]
    drug = drug[frame.index]
    gap = frame - frame.groupby(drug).transform("mean")
    products = pd.DataFrame({"both": gap["score"] * gap["y"], "score": gap["score"] ** 2, "y": gap["y"] ** 2})
    sums = products.groupby(drug).sum()
    size = (sums["score"] * sums["y"]).pow(0.5)
    return float((sums["both"] / size.where(size > 1e-9, np.inf)).mean())


def variation(model: nn.Module, data: Dataset, rows: int = 100, k: int = 20) -> Mapping[str, float]:
    """Graph variation of expected gradients with `k` references of some `rows` validation rows, for train.watch.

    The draws are the same every time; of the data set's own graph, whatever is trained on.
    """
    x = data.val.x[:: max(len(data.val) // rows, 1)]
    explain = ExpectedGradients(data.train.x, k, torch.Generator().manual_seed(0))
    with torch.no_grad():
        phi = explain(model, x)
    own = replace(data, graph=data.own_graph or data.graph)
    return {"graph_variation": float(prior.graph_variation(phi, own))}
