"""MACHINE: what a run ran on: code, versions, processor, memory. No host name, no folder."""

import contextlib
import ctypes
import functools
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch
from omegaconf import DictConfig, ListConfig

from .randomness import seed_global_generators, start

MATMUL_ERROR = 1e-6  # largest error over largest value that a route of float32 products may have
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h
PACKAGES = ("attrpriors", "torch", "torchvision", "numpy", "pandas", "scikit-learn", "scipy", "hydra-core")


def describe(device: str) -> dict[str, object]:
    """Commit and dirty flag (None outside a checkout), versions, platform, processor, threads, device."""
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
    return {
        **_checkout(),
        "versions": versions,
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "matmul": choose_matmul() if torch.device(device).type == "cpu" else {"route": "CUDA, float32"},
        "device": name,
    }


def prepare(cfg: DictConfig) -> None:
    """Device, threads, and the global generators."""
    check(cfg.device)
    _checkout()  # of the code as it was loaded, not as it is when the run ends
    choose_matmul()
    keep_freed_memory()
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    if not isinstance(cfg.seed, list | ListConfig):  # else each member of the run has its own
        seed_global_generators(start(cfg))
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # not TF32
    reset_peak_memory(cfg.device)


def check(device: str) -> None:
    """Raises ValueError where there is no such device."""
    kind = str(device).partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device is cpu or cuda; found {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device} needs a CUDA device, found none")


@functools.cache
def choose_matmul() -> dict[str, object]:
    """Send float32 products to oneDNN where it is as exact as it should be on this processor: route and error.

    The setting is named bf16 because it allows rounding; oneDNN does not use that where float32 is as fast, which is
    measured here on products of the shapes of a layer and of an ensemble, largest error over largest value.
    """
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    error = max(_error(shape) for shape in ((100, 512, 128), (64, 1024, 512), (8, 100, 118, 512)))
    if error < MATMUL_ERROR:
        return {"route": "oneDNN", "error": error}
    torch.backends.mkldnn.matmul.fp32_precision = "none"  # type: ignore[attr-defined]
    return {"route": "default", "error": error}


def _error(shape: tuple[int, ...]) -> float:
    """Of a product (..., M, K) x (..., K, N) in float32, against float64."""
    generator = torch.Generator().manual_seed(0)
    *blocks, m, k, n = shape
    one, other = torch.randn(*blocks, m, k, generator=generator), torch.randn(*blocks, n, k, generator=generator)
    exact = one.double() @ other.double().mT
    return float(((one @ other.mT) - exact).abs().max() / exact.abs().max())


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed (glibc): steps ask for the same blocks again, and new pages cost time."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for option, value in ((M_MMAP_THRESHOLD, 1 << 25), (M_TRIM_THRESHOLD, 1 << 30), (M_TOP_PAD, 1 << 26)):
            library.mallopt(option, value)


def reset_peak_memory(device: str) -> None:
    """Forget the peak of what this process did before, where the system allows it (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what an earlier run left to the C library is none of this run's
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.device(device).type == "cuda":
        torch.cuda.init()  # before a device is asked for by its number
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str) -> float:
    """MB: of the process, or what tensors took on a CUDA device."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


@functools.cache  # the code that was loaded, once a process
def _checkout() -> dict[str, object]:
    """The commit of this package's code; dirty where anything but results differs from it."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # installed elsewhere: not of that checkout
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--", ":/", ":(top,exclude)results"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@functools.cache
def _processor() -> str:
    """The model name of the processor, as Linux tells it, else as Python does."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
