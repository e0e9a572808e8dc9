"""Plan: how much is measured, and the tables that come of it, part by part."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from . import attribution, ceiling, ensemble, estimators, growth, steps
from .case import CASES, CNN, EXPLAINED, GRAPH, MLP, Case
from .formulation import load_authors

PARTS = ("steps", "attribution", "ensemble", "estimators", "ceiling", "growth")
Tables = Iterator[tuple[str, pd.DataFrame]]  # the name of a file and what it holds


@dataclass(frozen=True)
class Plan:
    """Sizes of the measurements."""

    cases: tuple[Case, ...]
    rounds: int  # of steps, attributions and ceiling, at least
    compiling: tuple[str, ...]  # cases
    items: Mapping[str, int]  # case -> rows explained at once
    ks: tuple[int, ...]  # for peak memory
    digits: int  # training rows of the CNN of estimators.csv
    repetitions: int  # of an attribution, for its variance
    explained: int  # rows whose attributions vary
    penalties: int  # gradients of a penalty, for their variance
    starts: int  # trainings an estimator
    members: tuple[int, ...]
    alone: int  # single runs of a serial loop
    epochs: int  # of a training
    fits: int  # rounds of ensemble.csv
    growing: int  # rounds of growth.csv


FULL = Plan(
    cases=tuple(CASES.values()),
    rounds=7,
    compiling=("mlp", "cnn", "mlp_graph"),  # VGG16 takes minutes
    items={"cnn": 5, "mlp": 50},
    ks=(50, 200, 400),
    digits=2000,
    repetitions=100,
    explained=10,
    penalties=50,
    starts=10,
    members=(4, 8, 16, 32),
    alone=2,
    epochs=100,
    fits=7,
    growing=7,
)
QUICK = Plan(
    cases=(MLP, CNN, GRAPH),  # without VGG16, of which a round takes five seconds
    rounds=7,
    compiling=(),
    items={"cnn": 2, "mlp": 50},
    ks=(),
    digits=500,
    repetitions=20,
    explained=5,
    penalties=10,
    starts=2,
    members=(8, 16),
    alone=2,
    epochs=30,
    fits=3,
    growing=3,
)


def measured(part: str, plan: Plan, device: str, checkout: Path | None) -> Tables:
    """The tables of one of PARTS, each as soon as it is measured."""
    authors = load_authors(checkout) if checkout else None
    if part == "steps":
        yield "steps", steps.measure(plan.cases, plan.rounds, device, authors, plan.compiling)
    if part == "attribution":
        items = {EXPLAINED[name]: count for name, count in plan.items.items()}
        yield "attribution", attribution.measure(items, 200, plan.rounds, device, checkout)
        if plan.ks:
            yield "memory", attribution.peaks([EXPLAINED["cnn"]], plan.ks, 5, device, checkout)
    if part == "ensemble":
        yield "ensemble", ensemble.measure(plan.members, plan.alone, plan.epochs, plan.fits, device, authors)
    if part == "estimators":
        trained = (estimators.trained_cnn(device, plan.digits), estimators.trained_mlp(device))
        yield "estimators", estimators.measure(trained, (10, 50), plan.explained, plan.repetitions)
        yield "training", estimators.training(trained, plan.penalties, plan.fits, plan.epochs, plan.starts)
    if part == "ceiling":
        yield "ceiling", ceiling.measure(plan.rounds, device)
    if part == "growth":
        yield "growth", growth.measure(plan.growing, device)
