"""Rows of (cell line, drug) pairs, split by cell line: what the drug-response sets share.

Features of a row: the drug one-hot, then the expression of the genes in its cell line.
Letters: R responses, L cell lines, D drugs, G genes, E edges.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from attrpriors.data import Dataset, Graph, Provenance, Split
from attrpriors.data.network import Choice, network
from attrpriors.record.randomness import entropy


@dataclass(frozen=True)
class Screen:
    """Responses of cell lines to drugs, and a network of the genes measured in the lines."""

    line: np.ndarray  # (R,) row of `expression`
    drug: np.ndarray  # (R,) place in `drugs`
    ln_ic50: np.ndarray  # (R,) natural logarithm of the concentration that halves growth
    expression: pd.DataFrame  # (L, G), names of lines and genes
    drugs: tuple[str, ...]  # D names
    edges: np.ndarray  # (2, E) columns of `expression`, each undirected edge once
    weight: np.ndarray | None = None  # (E,) of the edges; None: all 1
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # drug -> genes, where any are known
    gene_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # pathway -> genes


def assemble(
    screen: Screen,
    *,
    name: str,
    seed: int,
    drug_scale: float,
    lines: int | None,
    validation: float,
    test: float,
    provenance: Provenance,
    drivers: tuple[str, ...] = (),
    graph: Choice = "own",
    clip: float | None = None,
) -> Dataset:
    """Data set of `screen`: y is ln IC50 minus the training mean of its drug, which is the offset.

    drug_scale: value of the drug's own feature. lines: training lines to keep, None for all.
    validation, test: shares of the cell lines. drivers: genes that matter, where they are known.
    graph: the network to train on, the screen's own or a control in its place. clip: largest distance from the mean
    of the training lines, in their standard deviations, that a gene keeps; None for no bound.
    """
    if not 0 < drug_scale < np.inf:
        raise ValueError(f"{name}: drug_scale is {drug_scale}: expected a positive number")
    if clip is not None and not 0 < clip < np.inf:
        raise ValueError(f"{name}: clip is {clip}: expected a positive number, or null for no bound")
    drugs, genes = len(screen.drugs), screen.expression.shape[1]
    kept = split(len(screen.expression), seed, lines, validation, test, name)
    rows = {part: np.flatnonzero(np.isin(screen.line, lines_of)) for part, lines_of in kept.items()}
    scaler = StandardScaler().fit(screen.expression.to_numpy()[kept["train"]])
    expression = torch.from_numpy(scaler.transform(screen.expression.to_numpy()).astype(np.float32))
    expression = expression if clip is None else expression.clamp(-clip, clip)
    mean = drug_means(screen, rows["train"])
    trained = network(graph, screen.edges, expression[kept["train"]].double().numpy(), entropy(seed, "graph"), name)

    def part(i: np.ndarray) -> Split:
        line, drug = screen.line[i], screen.drug[i]
        x = features(torch.from_numpy(line), torch.from_numpy(drug), expression, drugs, drug_scale)
        y, offset = screen.ln_ic50[i] - mean[drug], mean[drug]
        unit = screen.expression.index.to_numpy(dtype=str)[line]
        return Split(x, torch.from_numpy(y.astype(np.float32)), unit, torch.from_numpy(offset.astype(np.float32)))

    names = tuple(screen.expression.columns)
    return Dataset(
        name=name,
        output="regression",
        outputs=1,
        train=part(rows["train"]),
        val=part(rows["val"]),
        test=part(rows["test"]),
        provenance=provenance,
        features=(*(f"drug={drug}" for drug in screen.drugs), *names),
        groups={"drug": tuple(range(drugs)), "gene": tuple(range(drugs, drugs + genes))},
        graph=weighted(trained + drugs, screen.weight if graph == "own" else None),
        own_graph=weighted(screen.edges + drugs, screen.weight) if graph != "own" else None,
        truth=torch.tensor([False] * drugs + [gene in drivers for gene in names]) if drivers else None,
        targets=screen.targets,
        gene_sets=screen.gene_sets,
    )


def weighted(edges: np.ndarray, weight: np.ndarray | None) -> Graph:
    """The graph of edges (2, E) with weights (E,); without, all weigh 1."""
    ones = torch.ones(edges.shape[1])
    return Graph(torch.from_numpy(edges), ones if weight is None else torch.from_numpy(weight.astype(np.float32)))


def split(count: int, seed: int, lines: int | None, validation: float, test: float, name: str) -> dict[str, np.ndarray]:
    """Numbers of the cell lines of train, val and test, drawn by `seed`."""
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ValueError(
            f"{name}: found validation={validation} and test={test}: expected positive shares of the cell lines "
            "with a sum below 1"
        )
    tests, vals = round(test * count), round(validation * count)
    left = count - tests - vals
    if lines is not None and not 2 <= lines <= left:
        raise ValueError(f"{name}: lines is {lines}: expected 2 to {left} training lines, or null for all")
    order = np.random.default_rng(seed).permutation(count)
    return {"test": order[:tests], "val": order[tests : tests + vals], "train": order[tests + vals :][:lines]}


def drug_means(screen: Screen, train: np.ndarray) -> np.ndarray:
    """Mean ln IC50 (D,) of each drug over the `train` rows; their overall mean for a drug without such a row."""
    response = pd.Series(screen.ln_ic50[train])
    mean = response.groupby(screen.drug[train]).mean().reindex(range(len(screen.drugs)))
    return mean.fillna(response.mean()).to_numpy()


def features(line: Tensor, drug: Tensor, expression: Tensor, drugs: int, drug_scale: float) -> Tensor:
    """x (R, D + G) float32, written in place: the table of GDSC fills 290 MB."""
    x = torch.zeros(len(line), drugs + expression.shape[1])
    x[torch.arange(len(line)), drug] = drug_scale
    for start in range(0, len(line), 4096):
        x[start : start + 4096, drugs:] = expression[line[start : start + 4096]]
    return x
