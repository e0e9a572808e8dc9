"""Clock: tasks timed in turn in one process, so that what drifts, drifts for all of them."""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import pandas as pd
import torch

Task = Callable[[], object]
Name = TypeVar("Name", bound=Hashable)


def interleaved(
    tasks: Mapping[Name, Task], rounds: int, device: str = "cpu", least: float = 0.05, spent: float = 10.0
) -> dict[Name, pd.Series]:
    """Name -> seconds of one call in each round. Within a round a task is repeated until it takes `least` seconds.

    Each is called before, a short one twice; rounds begin with another task in turn. Where `rounds` take less than
    `spent` seconds there are up to three times as many.
    """
    repeats = {}
    for name, task in tasks.items():
        once = seconds(task, 1, device)
        repeats[name] = 1 if once > 10 * least else math.ceil(least / seconds(task, 1, device))
    names = list(tasks)
    found: dict[Name, list[float]] = {name: [] for name in names}
    begun = time.perf_counter()
    for number in range(3 * rounds):
        if number >= rounds and time.perf_counter() - begun > spent:
            break
        start = number % len(names)
        for name in names[start:] + names[:start]:
            found[name].append(seconds(tasks[name], repeats[name], device))
    return {name: pd.Series(times) for name, times in found.items()}


def seconds(task: Task, repeats: int, device: str) -> float:
    """Mean seconds of a call, all work of a CUDA device done."""
    wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        task()
    wait(device)
    return (time.perf_counter() - start) / repeats


def wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def quartiles(values: pd.Series) -> dict[str, float]:
    """low and high: the first and the third quartile."""
    return {"low": float(values.quantile(0.25)), "high": float(values.quantile(0.75))}
