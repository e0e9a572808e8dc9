"""ensemble.csv: models a second, trained one after the other or many at once.

MLP 118-512-128-32-1, 100 rows as one batch, 100 rows of validation, Adam 1e-3, Gini prior on expected gradients with
k = 1, the best validation epoch kept.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from types import ModuleType

import pandas as pd
import torch
from torch.optim import Optimizer

from ..attribution import Attribution
from ..data import Dataset
from ..prior import AttributionPrior, NoPrior, Prior
from ..train import Ensemble, Trainer
from .case import MLP, Case
from .ceiling import default_matmul, prepare, routed
from .clock import Task, interleaved, quartiles
from .formulation import DEFAULT, Around, Authors, ours, stock

COLUMNS = ("case", "members", "models_per_second", "speedup", "low", "high", "epochs")
ADAM = partial(torch.optim.Adam, lr=1e-3, fused=True)  # as train=ensemble and train=full_batch
DEFAULT_ADAM = partial(torch.optim.Adam, lr=1e-3)  # PyTorch's own choice
CASE = replace(MLP, rows=100)


def serial(
    case: Case,
    members: int,
    epochs: int,
    device: str,
    attribution: Callable[[Case, Dataset], Attribution] | None = ours,
    around: Around = nullcontext,
    optimizer: Callable[..., Optimizer] = ADAM,
) -> Task:
    """Single runs, one after the other."""
    datas = [case.data(seed).to(device) for seed in range(members)]

    def run() -> None:
        with around():
            for seed, data in enumerate(datas):
                trainer = Trainer(epochs, None, optimizer, torch.Generator().manual_seed(seed))
                trainer.fit(case.model(data, seed).to(device), data, prior(case, data, attribution))

    return run


def prior(case: Case, data: Dataset, attribution: Callable[[Case, Dataset], Attribution] | None) -> Prior:
    if attribution is None:
        return NoPrior()
    return AttributionPrior(0.3, case.penalty, attribution(case, data), data)


def together(case: Case, members: int, epochs: int, device: str) -> Task:
    """Members of an ensemble."""
    datas = [case.data(seed).to(device) for seed in range(members)]

    def run() -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in range(members)]
        trainer = Ensemble(epochs, None, ADAM, generators[0], members=members)
        models = [case.model(data, seed).to(device) for seed, data in enumerate(datas)]
        results = trainer.fit_members(models, datas, [prior(case, data, ours) for data in datas], generators)
        failed = [result for result in results if isinstance(result, FloatingPointError)]
        if failed:
            raise failed[0]

    return run


class Processes:
    """Ensembles in processes of one thread each, that wait for a common start; called as a task."""

    def __init__(self, count: int, members: int, epochs: int) -> None:
        command = [sys.executable, "-m", "attrpriors.bench.ensemble", str(members), str(epochs)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        self.workers = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(count)
        ]

    def __call__(self) -> None:
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.write("start\n")
            worker.stdin.flush()
        for worker in self.workers:
            assert worker.stdout is not None
            if not worker.stdout.readline():
                raise RuntimeError(f"a process of the ensemble ended with status {worker.wait()}")

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.communicate()  # the end of its input ends it


def by_default(task: Task) -> None:
    """With PyTorch's default route of matrix products."""
    with default_matmul():
        task()


def measure(
    members: Sequence[int],
    alone: int,
    epochs: int,
    rounds: int,
    device: str,
    authors: ModuleType | None = None,
    processes: Sequence[int] = (8, 16, 32),
) -> pd.DataFrame:
    """A row a way to train; `alone` single runs or so many members, in two processes `processes` members each.

    speedup: models a second over those of single runs with PyTorch's own double backward, its default route of matrix
    products and its default form of Adam, median over rounds; low and high are its quartiles.
    """
    kinds: dict[str, Task] = {
        "serial, no prior": serial(CASE, alone, epochs, device, None),
        "serial, stock": serial(CASE, alone, epochs, device, around=stock, optimizer=DEFAULT_ADAM),
        "serial": serial(CASE, alone, epochs, device),
    }
    if authors is not None:
        explain = partial(Authors, module=authors)
        kinds["serial, authors"] = serial(CASE, alone, epochs, device, explain, optimizer=DEFAULT_ADAM)
    tasks: dict[tuple[str, int], Task] = {}  # by name and members
    tasks |= {(f"{name}{DEFAULT}", 1): partial(by_default, task) for name, task in kinds.items()}
    if routed(device):
        tasks |= {(name, 1): task for name, task in kinds.items()}
    counts = dict.fromkeys(tasks, alone)
    tasks |= {("ensemble", count): together(CASE, count, epochs, device) for count in members}
    counts |= {("ensemble", count): count for count in members}
    with ExitStack() as stack:
        for count in processes if torch.device(device).type == "cpu" else ():
            key, workers = ("ensemble, two processes of one thread", count), Processes(2, count, epochs)
            tasks[key], counts[key] = stack.enter_context(workers), 2 * count
        times = interleaved(tasks, rounds, device)
    rates = {key: counts[key] / times[key] for key in tasks}
    rows = []
    for (name, count), rate in rates.items():
        speedup = rate / rates[f"serial, stock{DEFAULT}", 1]
        row = {"case": name, "members": count, "models_per_second": rate.median(), "epochs": epochs}
        rows.append(row | {"speedup": speedup.median(), **quartiles(speedup)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def main(members: int, epochs: int) -> None:
    """One of the processes: trains an ensemble whenever a line comes in, and answers with one."""
    prepare()
    torch.set_num_threads(1)
    task = together(CASE, members, epochs, "cpu")
    for _ in sys.stdin:
        task()
        print("trained", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
