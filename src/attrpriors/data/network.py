"""NETWORK: graphs to train on in the place of a data set's own, each with as many edges: controls of a graph prior.

rewired: every gene keeps its number of neighbours, who they are is random. uniform: any two genes alike.
coexpression: the pairs of largest |correlation| over the training lines.
Letters: G genes, E edges, L cell lines.
"""

from typing import Literal

import networkx as nx
import numpy as np

Choice = Literal["own", "rewired", "uniform", "coexpression"]
CHOICES = ("own", "rewired", "uniform", "coexpression")
SWAPS = 10  # of the ends of two edges, for each edge (Milo et al. 2003, arXiv cond-mat/0312028)


def network(choice: Choice, edges: np.ndarray, expression: np.ndarray, seed: int, name: str) -> np.ndarray:
    """The edges (2, E) of `choice`, each once and sorted, from a data set's own.

    expression: (L, G) of the training lines, each gene of mean 0 and variance 1. seed: of the random ones.
    Errors: ValueError on another choice, and where a graph cannot be rewired.
    """
    if choice not in CHOICES:
        raise ValueError(f"{name}: graph is {choice!r}: expected one of {', '.join(CHOICES)}")
    count, genes = edges.shape[1], expression.shape[1]
    if choice == "rewired":
        return rewired(edges, genes, seed, name)
    if choice == "uniform":
        return ordered(nx.gnm_random_graph(genes, count, seed))
    return coexpressed(expression, count) if choice == "coexpression" else edges


def rewired(edges: np.ndarray, genes: int, seed: int, name: str) -> np.ndarray:
    """Edges of the same degrees, after SWAPS swaps an edge: of a-b and c-d, a-c and b-d where both are new."""
    graph = nx.empty_graph(genes)
    graph.add_edges_from(edges.T.tolist())
    swaps = SWAPS * edges.shape[1]
    try:
        nx.double_edge_swap(graph, nswap=swaps, max_tries=100 * swaps, seed=seed)
    except nx.NetworkXException as error:
        raise ValueError(f"{name}: its graph of {edges.shape[1]} edges cannot be rewired: {error}") from error
    return ordered(graph)


def coexpressed(expression: np.ndarray, count: int) -> np.ndarray:
    """The `count` pairs of genes of largest |correlation|, of standardised expression (L, G)."""
    one, other = np.triu_indices(expression.shape[1], 1)
    correlation = np.abs(expression.T @ expression / len(expression))[one, other]
    chosen = np.sort(np.argsort(-correlation, kind="stable")[:count])
    return np.stack([one[chosen], other[chosen]])


def ordered(graph: nx.Graph) -> np.ndarray:
    return np.array(sorted(sorted(edge) for edge in graph.edges)).T
