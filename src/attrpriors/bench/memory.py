"""Memory: what one method of attribution takes at its peak, in a process of its own.

    python -m attrpriors.bench.memory CASE METHOD K ITEMS DEVICE THREADS CHECKOUT

prints MB above what the process had after a first call on a background of two rows, so that libraries and data do not
count; what a method does with the whole background beforehand does.
"""

import functools
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from ..record import machine


@functools.cache
def peak(case: str, method: str, k: int, items: int, device: str, checkout: Path | None) -> float:
    """MB of `items` rows of a case of CASES at k; NaN, with a sentence, where the process does not end well."""
    given = (case, method, k, items, device, torch.get_num_threads(), checkout or "")
    command = [sys.executable, "-m", "attrpriors.bench.memory", *map(str, given)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1]
        print(f"{case}: no peak memory of {method} at k = {k}: {reason}")
        return float("nan")
    return float(ended.stdout.splitlines()[-1])


def main(case: str, method: str, k: int, items: int, device: str, checkout: str) -> float:
    """MB that the call takes at its peak, over what was held before it."""
    from .attribution import explained, methods
    from .case import EXPLAINED
    from .ceiling import prepare
    from .formulation import load_authors

    prepare()
    chosen = EXPLAINED[case]
    authors = load_authors(Path(checkout)) if checkout else None
    few, data = replace(chosen, rows=2).data().to(device), chosen.data().to(device)
    model = chosen.model(data).to(device).eval()
    x, y = explained(data, model, items)
    methods(chosen, few, model, 2, authors)[method]()(x[:1], None if y is None else y[:1])
    machine.reset_peak_memory(device)
    before = high_water(device)
    methods(chosen, data, model, k, authors)[method]()(x, y)
    return high_water(device) - before


def high_water(device: str) -> float:
    """MB held at most since reset_peak_memory. The system's own count where it has one: getrusage never falls."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10) / 2**20


if __name__ == "__main__":
    name, method, k, items, device, threads, checkout = sys.argv[1:]
    torch.set_num_threads(int(threads))
    print(main(name, method, int(k), int(items), device, checkout))
