"""`python run.py ...` inside this process, and small sizes for the embedded data sets."""

import contextlib
import io
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
RULER = ["evaluate.explained=5", "explain.k=5"]
# of evaluations that take no RULER
MEASURED = {"manipulation": ["evaluate.attacked=4", "evaluate.steps=1", "evaluate.eps=[0.1]"]}
SMALL = {
    "mnist_5k": ["data=mnist_5k", "data.train=40", "data.validation=20", "data.test=20", *RULER],
    "drug_simulated": ["data=drug_simulated", "data.lines=10", *RULER],
    "health_simulated": ["data=health_simulated", "data.people=600", *RULER],
}
SMALL |= {
    "correlated_groups_60": ["data=correlated_groups_60", "data.validation=10"],
    "redundant_feature": ["data=redundant_feature", "data.train=64", "explain.k=5"],
}
MEASURED |= {"saliency": [*RULER, "evaluate.grids=2"]}
MEASURED |= {"selection": ["explain.k=5", "evaluate.rows=10", "evaluate.trainer.epochs=1"]}
AXIOMS = ["explain.k=5", "evaluate.explained=2", "evaluate.repeats=2", "evaluate.methods.kernel_shap.samples=10"]
MEASURED |= {"axioms": AXIOMS}
MEASURED |= {"targets": [*RULER, "evaluate.per_drug=2", "evaluate.permutations=9", "evaluate.pairs=[]"]}
NARROW = {
    "pooled_cnn": ["model.channels=[2,3]"],
    "graph_network": ["model.channels=1", "model.hidden=[8]"],
    "cnn": ["model.channels=[2,3]", "model.hidden=8"],
    "cnn_tanh": ["model.channels=[2,3]", "model.hidden=8"],
    "mlp": ["model.hidden=[8]"],
    "mlp_response": ["model.hidden=[8]"],
    "glorot_mlp": ["model.hidden=[8]"],
    "affine": [],
    "vgg16": ["model=vgg16_small", "model.channels=[4,4,4,4,4]", "model.groups=2", "model.hidden=8"],
    "vgg16_small": ["model.channels=[4,4,4,4,4]", "model.groups=2", "model.hidden=8"],
    "vgg16_imagenet": ["model.channels=[4,4,4,4,4]", "model.hidden=8"],
}


@dataclass
class Result:
    """How a command ended."""

    status: int
    text: str  # what it printed


def command(*arguments: str) -> Result:
    """`python run.py ARGUMENTS`; Hydra's global job is given back as it was."""
    text, job, status = io.StringIO(), HydraConfig.instance().cfg, 0
    printed = contextlib.redirect_stdout(text), contextlib.redirect_stderr(text)
    try:
        with printed[0], printed[1], mock.patch.object(sys, "argv", ["run.py", *arguments]):
            runpy.run_path(str(ROOT / "run.py"), run_name="__main__")
    except SystemExit as end:  # as the interpreter takes it
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        text.write("" if isinstance(end.code, int | None) else f"{end.code}\n")
    finally:
        HydraConfig.instance().cfg = job
    return Result(status, text.getvalue())


def photographs(folder: Path) -> list[str]:
    """24 colour images of 32 x 32 pixels in two classes below `folder`, as a small data set."""
    for i, value in enumerate(np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)):
        path = folder / "photographs" / ("day", "night")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(value // (1 + i % 2)).save(path)
    return ["data=image_folder", f"data.path={folder}/photographs", "data.size=32", *RULER]


def jobs(overrides: list[str]) -> list[list[str]]:
    """The jobs of a sweep, each with its overrides."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [job for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for job in batch]


def planned(target: str) -> list[str]:
    """The lines that `make` would run for a target; CalledProcessError where it has none of that name."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    dry = ["make", "-n", target]  # as from a shell, though the tests may be a target of make themselves
    return subprocess.run(dry, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout.splitlines()
