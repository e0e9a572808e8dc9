"""GENES: which genes matter to which drug, and where they are in the network, with and without the graph prior."""

from typing import Any

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib.figure import Figure

from ..table.runs import PLACE, Runs
from .canvas import COLOURS, STYLE, Place, panels, save, with_legend

DRUGS, GENES = 4, 8  # panels, bars of each
TOP, NODES = 10, 60  # most important genes of each method, and how many they are with their neighbours
NETWORK = ("contrast", "comparator", "data.graph")  # labels that say which network, and what they say of no other one
OWN = ("", "none", "own", "graph")


def draw(runs: Runs) -> None:
    """figures/genes_NUMBER and network_NUMBER of each place of a folder of comparators, where a graph prior is one."""
    for number, ((data, source, model), rows) in enumerate(runs.rows.groupby(PLACE, sort=False), 1):
        place = Place(runs.folder, f"{data} ({source}), model {model}", rows, rows.iloc[:0])
        for kind in (genes, network) if "graph" in set(rows["prior"]) else ():
            with mpl.rc_context(STYLE):
                if figure := kind(place):
                    save(figure, runs.folder / "figures" / f"{kind.__name__}_{number}")


def genes(place: Place) -> Figure | None:
    """The most important genes of some drugs, with and without the prior: mean |attribution| over rows of the drug."""
    importance, drugs, aims = (place.arrays(name) for name in ("drug_importance", "drugs", "targets"))
    methods = compared(place, importance)
    if not methods:
        return None
    names = place.arrays("features")[methods[0]][0][-importance[methods[0]][0].shape[1] :]
    table = np.stack([np.mean(importance[method], 0) for method in methods])  # (methods, D, G)
    listed = list(drugs[methods[0]][0])
    shown = [drug for drug in paired(place) if drug in listed] or listed
    figure, axes = panels(min(len(shown), DRUGS), place, "bars: mean over runs; bold: targets of the drug", 2.7)
    for drug, axis in zip(shown, axes, strict=False):
        values = table[:, listed.index(drug)]  # (methods, G)
        top = np.argsort(-values.sum(0), kind="stable")[:GENES]
        for number, method in enumerate(methods):
            at = np.arange(len(top)) + 0.4 * number - 0.2
            axis.barh(at, values[number, top], 0.4, label=method, color=COLOURS[number])
        axis.set_yticks(range(len(top)), names[top])
        for label, gene in zip(axis.get_yticklabels(), top, strict=True):
            label.set_fontweight("bold" if aims[methods[0]][0][listed.index(drug), gene] else "normal")
        axis.set(title=drug, xlabel="mean |attribution|", ylim=(len(top) - 0.5, -0.5))
    return with_legend(figure, axes[0])


def network(place: Place) -> Figure | None:
    """The network around the most important genes, coloured by mean |attribution| with and without the prior."""
    importance, edges = place.arrays("importance"), place.arrays("edges")
    methods = compared(place, {method: runs for method, runs in importance.items() if method in edges})
    if not methods:
        return None
    first = edges[methods[0]]
    alike = all(np.array_equal(first[0], other) for other in first)  # a simulated world has a network of its own
    values = np.stack([np.mean(importance[method][: None if alike else 1], 0) for method in methods])  # (methods, F)
    graph = around(nx.Graph(first[0].T.tolist()), values)
    places = layout(graph)
    names = place.arrays("features")[methods[0]][0]
    labels = {node: names[node] for node in graph if graph.nodes[node]["top"]}
    whose = "mean over runs" if alike else "the run with the lowest seed"
    figure, axes = panels(len(methods), place, f"{whose}, one scale; named: the most important genes", 4.2)
    figure.set_figwidth(10)
    for method, value, axis in zip(methods, values, axes, strict=True):
        nx.draw_networkx_edges(graph, places, ax=axis, edge_color="0.8", width=0.6)
        shown = nx.draw_networkx_nodes(
            graph,
            places,
            ax=axis,
            node_color=value[list(graph)],
            node_size=[70 if graph.nodes[node]["top"] else 25 for node in graph],
            cmap="viridis_r",
            vmin=0,
            vmax=values[:, list(graph)].max(),
            edgecolors="0.3",
            linewidths=0.4,
        )
        nx.draw_networkx_labels(graph, places, labels, 5, ax=axis, verticalalignment="bottom")
        axis.set(title=method)
        axis.axis("off")
    figure.colorbar(shown, ax=axes, label="mean |attribution|", aspect=40)
    return figure


def around(graph: nx.Graph, values: np.ndarray) -> nx.Graph:
    """The TOP genes of each method that have a neighbour, and their most important neighbours, NODES in all."""
    nodes = np.array(sorted(graph))
    top = {int(node) for value in values for node in nodes[np.argsort(-value[nodes], kind="stable")[:TOP]]}
    others = {neighbour for node in top for neighbour in graph[node]} - top
    near = sorted(others, key=lambda node: (-values[:, node].sum(), node))[: max(NODES - len(top), 0)]
    part = nx.Graph()
    part.add_nodes_from((node, {"top": node in top}) for node in sorted(top | set(near)))
    part.add_edges_from(sorted(tuple(sorted(edge)) for edge in graph.subgraph(part).edges))
    return part


def layout(graph: nx.Graph) -> dict[int, np.ndarray]:
    """A place for each node: springs within a connected part, and parts side by side, the largest first."""
    places: dict[int, np.ndarray] = {}
    width, x, y, height = 3 * np.sqrt(len(graph)), 0.0, 0.0, 0.0
    for nodes in sorted(nx.connected_components(graph), key=lambda nodes: (-len(nodes), min(nodes))):
        part, radius = graph.subgraph(sorted(nodes)), np.sqrt(len(nodes))
        if x and x + 2 * radius > width:  # a new line
            x, y, height = 0.0, y - height - 1, 0.0
        places |= nx.spring_layout(part, iterations=200, seed=0, scale=radius, center=(x + radius, y - radius))
        x, height = x + 2 * radius + 1, max(height, 2 * radius)
    return places


def compared(place: Place, importance: dict[str, Any]) -> list[str]:
    """The first prior-free method and the first with the graph prior on the data set's own network; or none."""
    labels = place.rows.drop_duplicates("method").set_index("method")
    said = labels[[column for column in NETWORK if column in labels]].astype(str)
    own = said.apply(lambda column: column.str.rpartition("/")[2]).isin(OWN).all(axis=1)  # drug/graph
    chosen = [
        next((str(method) for method in labels.index[own & (labels["prior"] == prior)] if method in importance), "")
        for prior in ("none", "graph")
    ]
    return chosen if all(chosen) else []


def paired(place: Place) -> list[str]:
    """The drugs of the pairs whose rank was told."""
    metrics = place.rows["metric"].drop_duplicates()
    return list(dict.fromkeys(metrics.str.extract(r"^target_rank/pair=(.+) \S+$")[0].dropna()))
