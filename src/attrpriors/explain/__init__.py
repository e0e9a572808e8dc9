"""EXPLAIN: the corridor from a saved model to attributions of new rows.

python run.py explain=NAME checkpoint=FOLDER rows=FILE: the model and the settings of the finished run in FOLDER, the
attribution NAME (without it, the run's own). A folder inside of FOLDER gets attributions.csv, a figure, manifest.json.

Letters: N rows, *F features, O outputs.
"""

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from .. import record
from ..build import build
from ..data import Dataset
from ..evaluate import estimated, scores_of
from ..record import machine, start, stream
from ..record.setting import folder_name
from ..record.weights import CONFIG, WEIGHTS, restore
from .told import Told, keep

GROUP = "attribution@explain"
HERE = {"checkpoint", "rows", "device", "threads", GROUP}  # what a command says of itself
PLACES = {"data.path", "data.root", "data.graph"}  # and of where the run's data are now


def as_typed(main: Callable[[], None]) -> Callable[[], None]:
    """Before Hydra reads the command line: explain=NAME is its group, the commas of a folder or file are no sweep."""

    def plain(argument: str) -> str:
        key, _, value = argument.partition("=")
        if key == "explain":
            return f"{GROUP}={value}"
        if key in ("checkpoint", "rows") and not re.match(r"\[|\d+$|null$|['\"]|$", value):
            return f"{key}='" + value.replace("'", "\\'") + "'"
        return argument

    @functools.wraps(main)
    def started() -> None:
        sys.argv = [sys.argv[0], *map(plain, sys.argv[1:])]
        main()

    return started


def or_explain(job: Callable[[DictConfig], str]) -> Callable[[DictConfig], str]:
    """The job, or with a checkpoint the explanation of rows, whose folder the last line names."""

    @functools.wraps(job)
    def task(cfg: DictConfig) -> str:
        if cfg.checkpoint is None:
            return job(cfg)
        try:
            folder = explain(cfg)
        except (ValueError, OSError, ImportError, RuntimeError, HydraException, OmegaConfBaseException) as error:
            sys.exit(f"checkpoint={cfg.checkpoint}: failed: {record.sentence(error)}")
        print(f"attributions: {folder}/")
        return "explained"

    return task


def explain(cfg: DictConfig) -> Path:
    """Explain rows by the model of `cfg.checkpoint`; the folder of what came of it."""
    run = Path(cfg.checkpoint)
    manifest = finished(run)
    trained, chosen = settings(cfg, run, manifest)
    machine.prepare(trained)
    data = build(trained.data, seed=trained.seed)
    if sorted(data.provenance.files.values()) != sorted(manifest["data"]["files"].values()):
        raise ValueError(f"the data are not those that the model was trained on: {', '.join(data.provenance.files)}")
    data, model = data.to(cfg.device), build(trained.model, data=data)
    restore(run, model)
    model = model.to(cfg.device)
    attribution = build(trained.explain, background=data.train.x, generator=stream(start(trained), "explain"))
    x, names, offset = rows_of(list(cfg.rows) if isinstance(cfg.rows, ListConfig) else cfg.rows, data)
    scores = scores_of(model, x)
    with torch.no_grad():
        phi, error = estimated(attribution, model, x, scores.argmax(1))  # a single score is explained whatever y is
    told = Told(data, names, x.cpu(), scores.cpu(), phi.cpu(), error.cpu(), offset)
    labels = manifest["labels"]
    title = (
        f"{labels['data']} ({labels['source']}), model {labels['model']}, prior {labels['prior']}; {chosen['explain']}"
    )
    if k := getattr(attribution, "k", 0):  # few draws say little, one alone nothing of its error
        title += f", {k} draws a row" if k > 1 else ", a single draw a row"
    folder = run / "explained" / folder_name(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    keep(folder, told, title, {"run": manifest["setting"], "weights": manifest["files"][WEIGHTS], **chosen})
    return folder


def finished(run: Path) -> dict[str, Any]:
    """The manifest of the run in a folder; ValueError where there is none that is finished and keeps its model."""
    if not run.is_dir():
        raise ValueError(f"there is no folder {run}; a run's last line names its own")
    manifest = record.verified(run)
    if manifest is None:
        raise ValueError(f"{run} does not hold a finished and undamaged run")
    if manifest.get("members"):
        raise ValueError(
            f"{run} holds {len(manifest['members'])} networks trained together, of which none is kept: "
            "run one of its seeds alone"
        )
    if not {WEIGHTS, CONFIG} <= set(manifest["files"]):
        raise ValueError(
            f"{run} holds no trained model: it was run with weights=false, or by an older version; "
            "remove the folder and run it again"
        )
    return manifest


def settings(cfg: DictConfig, run: Path, manifest: dict[str, Any]) -> tuple[DictConfig, dict[str, Any]]:
    """The settings of the run with those of this command; what the command chose, by name."""
    job = HydraConfig.get()
    if job.mode != RunMode.RUN:
        raise ValueError("a checkpoint is explained by a command of its own, found a sweep")
    keys = {override.lstrip("+~").split("=")[0] for override in job.overrides.task}
    own = {key for key in keys if key.startswith("explain.")}
    data = {"data"} if job.runtime.choices.get("data") == manifest["choices"].get("data") else set()
    if wrong := sorted(keys - HERE - PLACES - own - data):
        raise ValueError(
            f"{wrong[0]} is a setting of the run itself; beside checkpoint stand explain, rows, device, threads "
            f"and where the data are ({', '.join(sorted(PLACES))})"
        )
    trained: Any = OmegaConf.load(run / CONFIG)
    trained.device, trained.threads = cfg.device, cfg.threads
    if GROUP in keys:
        trained.explain, own = OmegaConf.to_container(cfg.explain, resolve=True), set()
    OmegaConf.set_struct(trained, True)  # a setting that the run's attribution does not have is refused
    for key in sorted(own | keys & PLACES):
        OmegaConf.update(trained, key, OmegaConf.select(cfg, key))
    OmegaConf.set_struct(trained, False)
    name = (job.runtime.choices if GROUP in keys else manifest["choices"]).get(GROUP, "")
    given = {key: OmegaConf.select(cfg, key) for key in sorted(keys) if key.startswith("explain.")}
    return trained, {"explain": name, **given, "rows": str(cfg.rows)}


def rows_of(rows: Any, data: Dataset) -> tuple[Tensor, np.ndarray, Tensor | float]:
    """x (N, *F), names (N,) and offsets (N,) of the rows to explain: new ones, or some of the test rows."""
    if isinstance(rows, str):
        if data.read is None:
            raise ValueError(f"{data.name} reads no new rows: rows is a list of test rows or how many; found {rows!r}")
        new = data.read(rows)
        return new.x.to(data.test.x.device), named(new.unit, np.arange(len(new.unit))), 0.0
    count = len(data.test)
    if isinstance(rows, int) and not isinstance(rows, bool) and rows > 0:
        index = np.linspace(0, count - 1, min(rows, count)).round().astype(int)  # spread: files may be in order
    elif isinstance(rows, list) and rows and all(isinstance(row, int) and 0 <= row < count for row in rows):
        index = np.array(rows)
    else:
        raise ValueError(f"rows is a file, a list of test rows from 0 to {count - 1}, or how many; found {rows!r}")
    offset = 0.0 if data.test.offset is None else data.test.offset[index].cpu()
    names = named(data.test.unit[index], index)
    return data.test.x[torch.from_numpy(index).to(data.test.x.device)], names, offset


def named(units: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A name for each row (N,): its unit, and where a unit has several rows ("162, row 7") its place as well."""
    if len(np.unique(units)) == len(units):
        return units
    return np.array([f"{unit}, row {place}" for unit, place in zip(units, places, strict=True)])
