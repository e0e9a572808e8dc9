"""A tiny Hydra app around record.keep and table.AfterSweep, and runs of it inside this process."""

import copy
import functools
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from attrpriors.data import Provenance
from attrpriors.record import Outcome, keep, stream

CONFIG = """
defaults:
  - data: digits
  - model: linear
  - attribution: expected
  - prior: none
  - override hydra/job_logging: disabled
  - override hydra/hydra_logging: disabled
  - _self_
name: own
seed: 0
device: cpu
threads: null
results: results
tensorboard: false
epochs: 3
seconds: 0
broken: []       # seeds of runs that fail
hydra:
  output_subdir: null
  run: {dir: "${results}/${name}"}
  sweep: {dir: "${results}/${name}", subdir: .}
  searchpath: ["file://LAUNCHERS"]
  callbacks:
    table: {_target_: attrpriors.table.AfterSweep}
    progress: {_target_: attrpriors.progress.Progress}
"""
CHOICES = {
    "data": {"digits": "kind: images", "survey": "kind: health", "drugs": "kind: drugs"},
    "model": {"linear": "width: 0", "mlp": "width: 8"},
    "attribution": {"expected": "k: 2", "gradient": "k: 0"},
    "prior": {"none": "gain: 0.0", "gini": "{gain: 0.3, weight: 0.5}", "graph": "{gain: 0.2, weight: 2.0}"},
}
SCRIPT = """
import hydra
from attrpriors import record
from tiny import outcome


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
@record.keep
def main(cfg):
    return outcome(cfg)


if __name__ == "__main__":
    main()
"""
TESTS = Path(__file__).parent


def outcome(cfg: DictConfig) -> Outcome:
    """Made-up measurements of all three families: the prior's `gain` makes them better, the seed scatters them."""
    time.sleep(cfg.seconds)
    if cfg.seed in cfg.broken:
        raise ValueError(f"the loss is not finite at epoch {cfg.epochs}")
    gain, draws = cfg.prior.gain, stream(cfg.seed, "rows")

    def scattered(value: float, spread: float = 0.02) -> float:
        return value + spread * float(torch.randn((), generator=draws))

    rows, arrays = [("best_epoch", 2.0), ("gini", scattered(0.5 + gain))], {}
    if cfg.data.kind == "images":
        rows += [("accuracy", scattered(0.95)), ("total_variation", scattered(10 - 9 * gain, 0.5))]
        for kind, levels in {"salt_and_pepper": [0.05, 0.1, 0.2, 0.3], "gaussian": [0.1, 0.5, 1.0]}.items():
            rows += [(f"accuracy/{kind}={level}", scattered(0.95 - (1 - gain) * level)) for level in levels]
        y, x = np.mgrid[:28, :28] / 27
        image = np.stack([np.exp(-30 * ((x - 0.5) ** 2 + (y - 0.2 - i / 20) ** 2)) for i in range(10)])[:, None]
        noise = torch.randn((10, 1, 28, 28), generator=draws).numpy()
        arrays = {"image": image, "phi": image * np.sin(9 * x) + (0.4 - gain) * noise}
    elif cfg.data.kind == "health":
        importance = torch.rand(118, generator=draws).numpy() ** (2 + 30 * gain)
        names = np.array([f"blood pressure, systolic {i}" if i % 9 == 0 else f"feature {i}" for i in range(118)])
        rows += [("roc_auc", scattered(0.7 + gain / 5))]
        arrays = {"importance": np.sort(importance)[::-1], "features": names}
    else:
        rows += [("r2", scattered(0.37 + gain / 10, 0.01)), ("graph_variation", scattered(5 - 10 * gain, 0.3))]
    epochs = np.arange(1, cfg.epochs + 1)
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "phase": "prior",
            "loss": 1 / epochs,
            "penalty": [scattered(gain / epoch) if gain else 0.0 for epoch in epochs],
            "validation_accuracy": [scattered(0.9 - 0.5 / epoch) for epoch in epochs],
            "seconds": 0.5 + gain,
        }
    )
    return Outcome(rows, history, arrays, Provenance("rows", "made up", {"rows.bin": "0" * 64}), 42)


def write_app(folder: Path) -> Path:
    """The app's files under `folder`, with this repository's launchers; the path of its script."""
    launchers = shutil.copytree(TESTS.parent / "conf" / "hydra", folder / "launchers" / "hydra").parent
    for group, choices in CHOICES.items():
        (folder / "conf" / group).mkdir(parents=True)
        for name, text in choices.items():
            (folder / "conf" / group / f"{name}.yaml").write_text(text)
    (folder / "conf" / "config.yaml").write_text(CONFIG.replace("LAUNCHERS", str(launchers)))
    shutil.copy(__file__, folder)
    (folder / "app.py").write_text(SCRIPT)
    return folder / "app.py"


@functools.cache
def composed(conf: str, overrides: tuple[str, ...]) -> DictConfig:
    """The configuration of a job, by the text that it starts from: composing takes most of a made-up run's time."""
    with initialize_config_dir(str(Path("conf").absolute()), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


def job(*overrides: str) -> DictConfig:
    """As composed; of jobs that differ in a plain seed alone, the first is composed."""
    last = next((part for part in reversed(overrides) if re.fullmatch(r"seed=\d+", part)), None)
    others = tuple(part for part in overrides if part != last)
    cfg = copy.deepcopy(composed(Path("conf/config.yaml").read_text(), others))
    if last:
        cfg.seed = int(last.removeprefix("seed="))
        cfg.hydra.overrides.task.append(last)
    return cfg


def run(*overrides: str, task: Callable[[DictConfig], Outcome] = outcome, mode: str = "RUN") -> Path:
    """One job of the app in the working directory, as Hydra would start it; its results folder."""
    cfg = job(*overrides, f"hydra.mode={mode}")
    HydraConfig.instance().set_config(cfg)
    plain = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))
    with open_dict(plain):
        del plain["hydra"]
    keep(task)(plain)
    return Path(plain.results, plain.name)


def sweep(*arguments: str) -> None:
    """`python app.py -m ...` inside this process."""
    before = sys.argv
    sys.argv = ["app.py", "-m", *arguments]
    try:
        hydra.main(version_base="1.3", config_path=str(Path("conf").absolute()), config_name="config")(keep(outcome))()
    finally:
        sys.argv = before
