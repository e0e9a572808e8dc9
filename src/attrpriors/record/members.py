"""MEMBERS: a run whose seed, prior weight or dropout is a list is several members, trained together."""

import functools
import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor, nn

from ..data import Dataset
from ..prior import Prior
from ..train import Classical, Ensemble, Trainer
from . import Outcome, sentence
from .randomness import seed_global_generators, start

# settings that may be lists -> their labels
LISTS = {"seed": "seed", "prior.weight": "weight", "model.dropout": "model.dropout"}


class Fit(NamedTuple):
    """What a member brings to its training."""

    trainer: Trainer | Classical
    model: nn.Module
    data: Dataset
    prior: Prior


class Meeting(NamedTuple):
    """A member that waits for its history."""

    run: "Member"
    fit: Fit
    state: Tensor  # of the global generator, which draws its dropout


Member = Generator[Fit, pd.DataFrame, Outcome]


def together(member: Callable[[DictConfig], Member]) -> Callable[[DictConfig], Outcome]:
    """Turn `member`, which yields its Fit and is sent its history, into a task for all members of a config."""

    @functools.wraps(member)
    def task(cfg: DictConfig) -> Outcome:
        labels, configs = spread(cfg)
        meetings = [_meet(member, config) for config in configs]
        histories = _fit([meeting.fit for meeting in meetings], [meeting.state for meeting in meetings])
        return _merge(labels, [_finish(one.run, history) for one, history in zip(meetings, histories, strict=True)])

    return task


def spread(cfg: DictConfig) -> tuple[list[dict[str, Any]], list[DictConfig]]:
    """Labels and config of each member: every combination of what is a list."""
    values = {key: OmegaConf.select(cfg, key) for key in LISTS}
    lists = {key: list(value) for key, value in values.items() if isinstance(value, list | ListConfig)}
    for key, value in lists.items():
        if not value or any(value.count(one) > 1 for one in value):
            raise ValueError(f"{key}, as a list of members, holds at least one value and none twice; found {value}")
    labels, configs = [], []
    for combination in itertools.product(*lists.values()):
        config = cfg.copy()
        for key, value in zip(lists, combination, strict=True):
            OmegaConf.update(config, key, value)
        labels.append({LISTS[key]: value for key, value in zip(lists, combination, strict=True)})
        configs.append(config)
    return labels, configs


def _meet(member: Callable[[DictConfig], Member], config: DictConfig) -> Meeting:
    seed_global_generators(start(config))  # initial weights, as if it were alone
    run = member(config)
    return Meeting(run, next(run), torch.get_rng_state())


def _fit(fits: Sequence[Fit], states: Sequence[Tensor]) -> Sequence[pd.DataFrame | FloatingPointError]:
    if len(fits) == 1 or isinstance(fits[0].trainer, Classical):
        return [alone.trainer.fit(alone.model, alone.data, alone.prior) for alone in fits]
    trainers, models, data, priors = (list(column) for column in zip(*fits, strict=True))
    if not isinstance(trainers[0], Ensemble):
        raise ValueError(f"a list of seeds or weights is {len(fits)} members: train=ensemble trains them together")
    return trainers[0].fit_members(models, data, priors, [trainer.generator for trainer in trainers], states)


def _finish(run: Member, history: pd.DataFrame | FloatingPointError) -> Outcome | FloatingPointError:
    if isinstance(history, FloatingPointError):
        return history
    try:
        run.send(history)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    raise RuntimeError("a member yields once, what it brings to its training")


def _merge(labels: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome | FloatingPointError]) -> Outcome:
    """One outcome of all members: rows, histories and failures bear their labels, arrays of one shape are stacked."""
    done = [(own, outcome) for own, outcome in zip(labels, outcomes, strict=True) if isinstance(outcome, Outcome)]
    lost = [(own, sentence(error)) for own, error in zip(labels, outcomes, strict=True) if isinstance(error, Exception)]
    if not done:
        raise FloatingPointError(lost[0][1])
    if not any(labels):  # no list: a run as ever
        return done[0][1]
    first = done[0][1]
    alike = [name for name in first.arrays if len({outcome.arrays[name].shape for _, outcome in done}) == 1]
    return Outcome(
        [(*row[:2], {**own, **(row[2] if len(row) > 2 else {})}) for own, outcome in done for row in outcome.rows],
        pd.concat([outcome.history.assign(member=i) for i, (_, outcome) in enumerate(done)]),
        {name: np.stack([outcome.arrays[name] for _, outcome in done]) for name in alike},  # few maps may lack a class
        first.data,
        first.parameters,
        [own for own, _ in done],
        lost,
    )  # no weights: of thousands of members they fill a disk, and each member can be had as a run of its own
