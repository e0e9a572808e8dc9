"""DRUG RESPONSE, SIMULATED: cell lines, drugs and a protein network whose true genes are known.

200 cell lines, 200 genes in ten modules of a scale-free network, 20 drugs. A drug acts through one of three pathways of
20 genes, each of which counts alike. Where the truth follows the graph, a pathway is a module, and that neighbours
matter alike is true; where it does not, its genes are drawn from the whole network, and all else is the same.
A seed is a world of its own: network, lines, drugs and split.
"""

from typing import Literal

import numpy as np
import pandas as pd

from attrpriors.data import Dataset, Provenance
from attrpriors.data.network import Choice
from attrpriors.data.pairs import Screen, assemble
from attrpriors.record.randomness import entropy

Follows = Literal["graph", "none"]
FOLLOWS = ("graph", "none")
LINES, MODULES, SIZE, DRUGS = 200, 10, 20, 20  # SIZE genes a module
TRIED = 18  # drugs of each line: not all pairs, and equally many for every split
PATHWAYS = 3  # that any drug acts through, of SIZE genes each: the other genes drive nothing
BRIDGES = 20  # edges between modules
MODULE = 0.3  # share of a gene's variance that its module has in common
LINE, NOISE = (
    0.3,
    0.7,
)  # standard deviations of what a line adds to every response, and of noise; a pathway's is about 1


def load(
    seed: int,
    drug_scale: float = 4.5,
    lines: int | None = None,
    validation: float = 0.15,
    test: float = 0.35,
    graph: Choice = "own",
    follows: Follows = "graph",
) -> Dataset:
    """The simulated screen, split by cell line; `truth` marks the genes of the pathways, `targets` those of each drug.

    graph: the network to train on, the screen's own or a control. follows: whether pathways are modules of the own one.
    """
    if follows not in FOLLOWS:
        raise ValueError(f"drug_simulated: follows is {follows!r}: expected one of {', '.join(FOLLOWS)}")
    screen = world(seed, follows)
    return assemble(
        screen,
        name="drug_simulated",
        seed=seed,
        drug_scale=drug_scale,
        lines=lines,
        validation=validation,
        test=test,
        graph=graph,
        provenance=Provenance("GDSC drug response", stand_in="simulated"),
        drivers=tuple(gene for genes in screen.gene_sets.values() for gene in genes),
    )


def world(seed: int, follows: Follows = "graph") -> Screen:
    """Every line's expression, and its response to the drugs it was tried with."""
    draws = np.random.default_rng(entropy(seed, "world"))
    edges = network(draws)
    # drawn in both worlds, so that they differ in nothing else
    scattered = draws.permutation(MODULES * SIZE)
    genes = (np.arange(MODULES * SIZE) if follows == "graph" else scattered)[: PATHWAYS * SIZE]
    expression = expressed(draws)
    activity = expression[:, genes].reshape(LINES, PATHWAYS, SIZE).sum(2)  # (L, pathways)
    activity = (activity - activity.mean(0)) / activity.std(0)
    pathway = np.arange(DRUGS) % PATHWAYS
    mean, slope = draws.normal(2.5, 2.0, size=DRUGS), draws.uniform(0.7, 1.3, size=DRUGS)
    effect = mean - slope * activity[:, pathway] + LINE * draws.normal(size=(LINES, 1))
    response = effect + NOISE * draws.normal(size=effect.shape)
    drug = np.sort(draws.random((LINES, DRUGS)).argsort(1)[:, :TRIED], 1)
    names = np.array([f"module{i}gene{j:02}" for i in range(MODULES) for j in range(SIZE)])
    sets = {f"pathway{i}": tuple(map(str, part)) for i, part in enumerate(names[genes].reshape(PATHWAYS, SIZE))}
    return Screen(
        line=np.repeat(np.arange(LINES), TRIED),
        drug=drug.ravel(),
        ln_ic50=np.take_along_axis(response, drug, 1).ravel(),
        expression=pd.DataFrame(expression, index=[f"line{i:03}" for i in range(LINES)], columns=names),
        drugs=tuple(f"drug{i:02}" for i in range(DRUGS)),
        edges=edges,
        targets={f"drug{i:02}": sets[f"pathway{pathway[i]}"] for i in range(DRUGS)},
        gene_sets=sets,
    )


def expressed(draws: np.random.Generator) -> np.ndarray:
    """Expression (L, G) of variance 1: what a gene has in common with its module, and its own."""
    shared = np.repeat(draws.normal(size=(LINES, MODULES)), SIZE, axis=1)
    return np.sqrt(MODULE) * shared + np.sqrt(1 - MODULE) * draws.normal(size=shared.shape)


def network(draws: np.random.Generator) -> np.ndarray:
    """Edges (2, E) between genes: preferential attachment (two edges a new gene) in each module, then bridges."""
    edges: set[tuple[int, int]] = set()
    for start in range(0, MODULES * SIZE, SIZE):
        degree = np.zeros(SIZE)
        for new in range(1, SIZE):
            weight = (degree + (new == 1))[:new]
            for old in draws.choice(new, size=min(2, new), replace=False, p=weight / weight.sum()):
                edges.add((start + int(old), start + new))
                degree[[old, new]] += 1
    inside = len(edges)
    while len(edges) < inside + BRIDGES:
        one, other = sorted(draws.choice(MODULES * SIZE, size=2, replace=False).tolist())
        if one // SIZE != other // SIZE:
            edges.add((one, other))
    return np.array(sorted(edges)).T
