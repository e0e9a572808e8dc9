"""Train networks whose explanations obey a prior (Erion et al. 2021, arXiv 1906.10670).

Read in the order the data flows:

data         load(..., seed) -> Dataset: train, val, test, and the facts about them
model        x (B, *F) -> scores (B, O)
attribution  attribution(model, x, y) -> phi (B, *F)
prior        prior(model, x, y) -> scalar; a prior is a weight, an attribution and a penalty
train        minimises task loss + weight * prior
evaluate     yields (metric, value), every run under one ruler
table        rows of many runs -> mean, interval, paired tests

Corridors join them: build (from a configuration to an object), choices (the help), record (streams of randomness,
rows, manifests, resuming), progress (how far a sweep is), figure (pictures of a results folder), report (claims, one
page, tables inside the documents) and explain (new rows, by the model of a run).

Letters: B batch, N rows, K references, C channels, H height, W width, F features (*F: their axes, whatever they are),
E edges, M members, O outputs. A score is a model's output before softmax or sigmoid; phi is an attribution.
"""

from .attribution import (
    Attribution,
    ExpectedGradients,
    Gradient,
    GreedyPIG,
    InputXGradient,
    IntegratedGradients,
    OnScale,
    Random,
    SmoothGrad,
)
from .data import Dataset, Graph, Provenance, Split
from .prior import (
    AttributionPrior,
    NoPrior,
    Prior,
    gini,
    gini_coefficient,
    graph_variation,
    irrelevant_attribution,
    l1_attribution,
    l2_attribution,
    total_variation,
)
from .train import Ensemble, Trainer

__all__ = [
    "Attribution",
    "AttributionPrior",
    "Dataset",
    "Ensemble",
    "ExpectedGradients",
    "Gradient",
    "Graph",
    "GreedyPIG",
    "InputXGradient",
    "IntegratedGradients",
    "NoPrior",
    "OnScale",
    "Prior",
    "Provenance",
    "Random",
    "SmoothGrad",
    "Split",
    "Trainer",
    "gini",
    "gini_coefficient",
    "graph_variation",
    "irrelevant_attribution",
    "l1_attribution",
    "l2_attribution",
    "total_variation",
]
