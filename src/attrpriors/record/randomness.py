"""RANDOMNESS: one seed spawns a stream for every purpose."""

import random

import numpy as np
import torch
from omegaconf import DictConfig

from .setting import digest


def entropy(seed: int, name: str) -> int:
    """64 bits that belong to `name` under `seed` (NumPy's SeedSequence: neighbouring seeds share nothing)."""
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed is a whole number, 0 or more; found {seed!r}")
    key = tuple(bytes.fromhex(digest(name)))
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


def start(cfg: DictConfig) -> int:
    """The seed of all that is drawn but the data: the run's, or another for each `initialisation` on the same split."""
    number = cfg.get("initialisation", 0)
    return entropy(cfg.seed, f"initialisation {number}") if number else cfg.seed


def stream(seed: int, name: str) -> torch.Generator:
    """A CPU generator of its own for each `name`: what one stream draws never moves another."""
    return torch.Generator().manual_seed(entropy(seed, name))


def seed_global_generators(seed: int) -> None:
    """Those of Python, NumPy and PyTorch (initial weights, dropout)."""
    start = entropy(seed, "global")
    random.seed(start)
    np.random.seed(start % 2**32)
    torch.manual_seed(start)
