"""RECORD: the corridor from a run to its folder: random streams, what is kept, skipped, refused, redone.

results/NAME/<setting>/ holds rows.csv, history.csv, arrays.npz, the trained model and, last, manifest.json: with it the
run is finished.
history.csv has a row an epoch: epoch, phase (plain, or prior: with the prior on), loss (the task's, mean over steps),
penalty (before its weight), the validation score that chooses the epoch (validation_accuracy, validation_roc_auc,
validation_r2), what a training watches more, and the member, by its number in the manifest, where there are several.
unfinished.txt is there while a run is under way, failure.txt (message, labels, traceback) after one that failed.
"""

import contextlib
import functools
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig

from ..data import Provenance
from ..progress import say
from . import machine
from .events import check_tensorboard, write_events
from .randomness import start as start
from .randomness import stream as stream
from .setting import Run, canonical, difference, digest, identify
from .weights import CONFIG, WEIGHTS, saved

ROWS, HISTORY, ARRAYS, MANIFEST = "rows.csv", "history.csv", "arrays.npz", "manifest.json"
FAILURE, UNFINISHED = "failure.txt", "unfinished.txt"


# (metric, value), or (metric, value, labels) where one run measures several things that a table tells apart
Row = tuple[str, float] | tuple[str, float, Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What a run hands over to be kept."""

    rows: Sequence[Row]
    history: pd.DataFrame  # one row an epoch; "seconds" goes to the manifest, so that history.csv repeats itself
    arrays: Mapping[str, np.ndarray]  # for figures: image and phi (M, C, H, W); features and importance (F,)
    data: Provenance
    parameters: int
    members: Sequence[Mapping[str, Any]] = ()  # labels of the members, where several were trained together
    lost: Sequence[tuple[Mapping[str, Any], str]] = ()  # labels and message of members that failed
    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)  # of the trained model


def keep(task: Callable[[DictConfig], Outcome]) -> Callable[[DictConfig], str]:
    """The job around `task`: one folder a run, finished ones are skipped, a failed one leaves its traceback.

    In a sweep the other runs go on after a failed one; a single run ends the process with a sentence and status 1.
    A job says how it went: "finished in 3.1 s", "skipped (finished)", "failed: ...".
    """

    @functools.wraps(task)
    def job(cfg: DictConfig) -> str:
        single = HydraConfig.get().mode == RunMode.RUN
        run = identify(cfg)
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            with _locked(run), _noted(run):
                if cfg.tensorboard:
                    check_tensorboard()
                went = _once(task, cfg, run)
                if cfg.tensorboard and (manifest := verified(run.folder)):
                    write_events(run.folder / HISTORY, manifest["members"])
        except Exception as error:
            note = run.folder / FAILURE
            went = f"failed: {sentence(error)}" + f" (traceback in {note})" * note.exists()
            if single:
                sys.exit(f"{run.setting}: {went}")
        say(f"{run.setting}: {went}")
        if single:
            rows = pd.read_csv(run.folder / ROWS)
            shown = rows.loc[:, [name in ("metric", "value") or rows[name].nunique() > 1 for name in rows]]
            print(f"{shown.to_markdown(index=False)}\nrecord: {run.folder}/")
        return went

    return job


def verified(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished run whose files are as they were written, else None; OSError where a disk fails."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        files = manifest["files"].items()
        return manifest if all(digest((folder / name).read_bytes()) == sha256 for name, sha256 in files) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, LookupError, TypeError, AttributeError):  # damaged, in whatever way
        return None


def sentence(error: BaseException) -> str:
    """What an error says, in one line; with its type where it says no more than a word."""
    told = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
    text = " ".join(str(told).split())
    return text if " " in text else f"{type(told).__name__}: {text}"


def write(path: Path, content: bytes) -> None:
    """All of `content`, or nothing and an OSError: temporary file, flush, move."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written: {error.strerror}") from error


@contextlib.contextmanager
def _locked(run: Run) -> Iterator[None]:
    """Two processes never write one folder: the second one waits."""
    lock = FileLock(run.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{run.setting}: waits for another process that runs it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _noted(run: Run) -> Iterator[None]:
    """A note of what happened stays in the folder unless the run is finished."""
    try:
        yield
    except Exception as error:
        try:
            (run.folder / UNFINISHED).unlink(missing_ok=True)
            write(run.folder / FAILURE, _note(sentence(error), run, traceback.format_exc()))
        except OSError:
            with contextlib.suppress(OSError):
                (run.folder / FAILURE).touch()  # on a full disk, an empty file still says that it failed
        raise
    for name in (FAILURE, UNFINISHED):
        (run.folder / name).unlink(missing_ok=True)


def _note(message: str, run: Run, more: str) -> bytes:
    """A line with the message, a line of JSON with what the run is, the rest."""
    what = {"labels": run.labels, "choices": run.choices, "config": run.config}
    return f"{message}\n{json.dumps(what)}\n\n{more}".encode()


def _once(task: Callable[[DictConfig], Outcome], cfg: DictConfig, run: Run) -> str:
    """Run and keep `task` unless that is done; how it went. FileExistsError on the record of another config or data."""
    manifest = verified(run.folder)
    if manifest and canonical(manifest["config"]) != canonical(run.config):
        raise FileExistsError(
            f"{run.folder} holds a finished record of another config: "
            f"{difference(manifest['config'], run.config)}; choose another name=... or remove the folder"
        )
    if manifest and (path := _changed(manifest["data"]["files"], cfg.get("data") or {})):
        raise FileExistsError(
            f"{run.folder} holds a finished record of other data: {path} has changed since; "
            "choose another name=... or remove the folder"
        )
    if manifest:
        return "skipped (finished)"
    _clear(run.folder)
    write(run.folder / UNFINISHED, _note("not finished", run, "The run is under way, or was stopped from outside.\n"))
    try:
        manifest = _perform(task, cfg, run)
    except Exception:
        _clear(run.folder)
        raise
    return f"finished in {manifest['seconds']['total']:.1f} s"


def _changed(files: Mapping[str, str], settings: Mapping[str, Any]) -> Path | None:
    """The first file that the data's settings name and that is not as the run has read it (`files`: name -> sha256)."""
    paths = [Path(value) for value in settings.values() if isinstance(value, str)]
    known = (path for path in paths if path.name in files and path.is_file())
    return next((path for path in known if digest(path.read_bytes()) != files[path.name]), None)


def _clear(folder: Path) -> None:
    """Remove what an unfinished or damaged run left, the manifest first."""
    for path in (*map(folder.joinpath, (MANIFEST, ROWS, HISTORY, ARRAYS, WEIGHTS, CONFIG)), *folder.glob("*.part")):
        path.unlink(missing_ok=True)


def _perform(task: Callable[[DictConfig], Outcome], cfg: DictConfig, run: Run) -> dict[str, Any]:
    """Run and keep `task`; its manifest ("own": the labels that its rows have of their own)."""
    machine.prepare(cfg)
    start = time.perf_counter()
    outcome = task(cfg)
    seconds = {"total": time.perf_counter() - start} | _epoch_seconds(outcome.history)
    labels = run.labels | {"source": outcome.data.source}
    files = _files(outcome, labels)
    if outcome.weights and cfg.weights:
        files |= saved(outcome.weights, cfg)
    manifest = {
        "setting": run.setting,
        "labels": labels,
        "choices": run.choices,
        "config": run.config,
        "replicate": run.replicate,
        "data": {"name": outcome.data.name, "stand_in": outcome.data.stand_in, "files": dict(outcome.data.files)},
        "parameters": outcome.parameters,
        "own": sorted({label for row in outcome.rows for label in dict(*row[2:])}),
        "seconds": seconds,
        "peak_memory_mb": machine.peak_memory(cfg.device),
        **machine.describe(cfg.device),
        "members": [dict(own) for own in outcome.members],
        "lost": [{"labels": dict(own), "message": message} for own, message in outcome.lost],
        "files": {name: digest(content) for name, content in files.items()},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for name, content in files.items():
        write(run.folder / name, content)
    write(run.folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    return manifest


def _epoch_seconds(history: pd.DataFrame) -> dict[str, float]:
    """Seconds of training, and of an epoch of the last phase (with the prior, where it is switched on late)."""
    if "seconds" not in history:
        return {}
    last = history[history["phase"] == history["phase"].iloc[-1]] if "phase" in history else history
    return {"train": float(history["seconds"].sum()), "per_epoch": float(last["seconds"].mean())}


def _files(outcome: Outcome, labels: dict[str, Any]) -> dict[str, bytes]:
    """File name -> content; the same outcome gives the same bytes."""
    rows = pd.DataFrame([labels | dict(*row[2:]) for row in outcome.rows])
    rows = rows.assign(metric=[row[0] for row in outcome.rows], value=[float(row[1]) for row in outcome.rows])
    files = {ROWS: rows.to_csv(index=False, na_rep="nan").encode()}
    if len(outcome.history):
        history = outcome.history.drop(columns="seconds", errors="ignore")
        files[HISTORY] = history.to_csv(index=False, na_rep="nan").encode()
    if outcome.arrays:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **outcome.arrays)
        files[ARRAYS] = buffer.getvalue()
    return files
