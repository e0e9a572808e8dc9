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


@contextmanager
def onednn() -> Iterator[None]:
    """Matrix products of float32 by oneDNN: on most CPUs a faster kernel, on one with AMX a rounding to bfloat16."""
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before


def onednn_error() -> float:
    """Largest error of oneDNN's matrix product against float64, as a share of the largest entry."""
    draws = torch.Generator().manual_seed(0)
    one, other = (torch.randn(512, 512, generator=draws) for _ in range(2))
    with onednn():
        found = one @ other
    exact = one.double() @ other.double()
    return float((found.double() - exact).abs().max() / exact.abs().max())


def measure(rounds: int, device: str, size: int = 1024) -> pd.DataFrame:
    """measure, unit, value, low, high (quartiles over rounds) and what they were measured on."""
    draws = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws).to(device)

    one, other = normal(size, size), normal(size, size)
    image, filters = normal(64, 64, size // 32, size // 32), normal(64, 64, 3, 3)
    block, copy = torch.zeros(2, 64 * size**2, dtype=torch.uint8, device=device)
    points = image.numel()  # of the result, which is padded to the size of the image

    def routed() -> None:
        with onednn():
            torch.mm(one, other)

    tasks: dict[str, tuple[str, float, Task]] = {  # name -> unit, 1e9 operations or bytes, task
        "matrix product": ("GFLOP/s", 2e-9 * size**3, lambda: torch.mm(one, other)),
        "matrix product, oneDNN": ("GFLOP/s", 2e-9 * size**3, routed),
        "convolution 3 x 3, 64 channels": (
            "GFLOP/s",
            2e-9 * points * filters[0].numel(),
            lambda: F.conv2d(image, filters, padding=1),
        ),
        "copy of memory, read and written": ("GB/s", 2e-9 * block.numel(), lambda: copy.copy_(block)),
    }
    if torch.device(device).type != "cpu":
        del tasks["matrix product, oneDNN"]
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
        error = onednn_error()
        rows.append({"measure": "error of oneDNN's matrix product", "unit": "relative", "value": error, **where})
    return pd.DataFrame(rows, columns=list(COLUMNS))
