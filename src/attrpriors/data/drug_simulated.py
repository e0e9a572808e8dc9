"""DRUG RESPONSE, SIMULATED: cell lines, drugs and a protein network whose true genes are known.

300 cell lines, 200 genes in ten modules of a scale-free network, 20 drugs. A drug acts through the activity of
one module, of which each gene is a noisy measurement: the best evidence is spread over the module, that is over
neighbours in the network. Network, lines and drugs are the same for every seed; the split follows the seed.
"""

import numpy as np
import pandas as pd

from attrpriors.data import Dataset, Provenance
from attrpriors.data.network import Choice
from attrpriors.data.pairs import Screen, assemble

WORLD = 1906_10670  # seeds network, lines and drugs
LINES, MODULES, SIZE, DRUGS = 300, 10, 20, 20  # SIZE genes a module
TARGETS = 4  # modules that any drug aims at: the other modules drive nothing
BRIDGES = 20  # edges between modules


def load(
    seed: int,
    drug_scale: float = 4.5,
    lines: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    graph: Choice = "own",
) -> Dataset:
    """The simulated screen, split by cell line; `truth` marks the genes of modules that a drug aims at."""
    screen = world()
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
        drivers=tuple(screen.expression.columns[: TARGETS * SIZE]),
    )


def world() -> Screen:
    """Every line's expression, and its response to nine of ten drugs."""
    draws = np.random.default_rng(WORLD)
    edges = network(draws)
    # a common factor makes the modules' activities, and so all genes, correlated
    activity = np.sqrt(0.7) * draws.normal(size=(LINES, MODULES)) + np.sqrt(0.3) * draws.normal(size=(LINES, 1))
    signal = np.repeat(activity, SIZE, axis=1) * draws.uniform(0.5, 0.8, size=MODULES * SIZE)
    expression = pd.DataFrame(
        signal + 0.8 * draws.normal(size=signal.shape),
        index=[f"line{i:03}" for i in range(LINES)],
        columns=[f"module{i}gene{j:02}" for i in range(MODULES) for j in range(SIZE)],
    )
    target = np.arange(DRUGS) % TARGETS
    mean, slope = draws.normal(2.5, 2.0, size=DRUGS), draws.uniform(0.7, 1.3, size=DRUGS)
    effect = mean - slope * activity[:, target] + 0.3 * draws.normal(size=(LINES, 1))
    response = effect + 0.7 * draws.normal(size=effect.shape)
    line, drug = np.nonzero(draws.random(size=effect.shape) < 0.9)
    return Screen(line, drug, response[line, drug], expression, tuple(f"drug{i:02}" for i in range(DRUGS)), edges)


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
