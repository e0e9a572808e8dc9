"""Ceiling: what this machine reaches where nothing but arithmetic or memory is asked of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..record import machine
from .clock import Task, interleaved, quartiles

COLUMNS = ("measure", "unit", "value", "low", "high", "threads", "processor", "torch")


def prepare() -> None:
    """The process as a run of this project has it."""
    machine.choose_matmul()
    machine.keep_freed_memory()


def routed(device: str | torch.device) -> bool:
    """Whether float32 products take another route than PyTorch's default on this processor."""
    return torch.device(device).type == "cpu" and machine.choose_matmul()["route"] != "default"


@contextmanager
def default_matmul() -> Iterator[None]:
    """Float32 products as PyTorch computes them where nothing is chosen."""
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "none"
    try:
        yield
    finally:
        backend.fp32_precision = before


def measure(rounds: int, device: str, size: int = 1024) -> pd.DataFrame:
    """measure, unit, value, low, high (quartiles over rounds) and what they were measured on."""
    draws = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws).to(device)

    one, other = normal(size, size), normal(size, size)
    image, filters = normal(64, 64, size // 32, size // 32), normal(64, 64, 3, 3)
    block, copy = torch.zeros(2, 64 * size**2, dtype=torch.uint8, device=device)
    points = image.numel()  # of the result, which is padded to the size of the image

    def by_default() -> None:
        with default_matmul():
            torch.mm(one, other)

    tasks: dict[str, tuple[str, float, Task]] = {  # name -> unit, 1e9 operations or bytes, task
        "matrix product": ("GFLOP/s", 2e-9 * size**3, by_default),
        "convolution 3 x 3, 64 channels": (
            "GFLOP/s",
            2e-9 * points * filters[0].numel(),
            lambda: F.conv2d(image, filters, padding=1),
        ),
        "copy of memory, read and written": ("GB/s", 2e-9 * block.numel(), lambda: copy.copy_(block)),
    }
    if routed(device):
        tasks["matrix product, oneDNN"] = ("GFLOP/s", 2e-9 * size**3, lambda: torch.mm(one, other))
    times = interleaved({name: task for name, (_, _, task) in tasks.items()}, rounds, device)
    described = machine.describe(device)
    where = {"threads": torch.get_num_threads(), "processor": described["processor"], "torch": torch.__version__}
    if torch.device(device).type != "cpu":
        where["processor"] = described["device"]
    rows: list[dict[str, object]] = []
    for name, (unit, work, _) in tasks.items():
        rate = work / times[name]
        rows.append({"measure": name, "unit": unit, "value": rate.median(), **quartiles(rate), **where})
    if torch.device(device).type == "cpu":
        route = machine.choose_matmul()
        rows.append(
            {"measure": "error of oneDNN's matrix product", "unit": "relative", "value": route["error"], **where}
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
