"""PROGRESS: how far a sweep is: runs finished, running, failed and skipped, and the time left.

The jobs of a sweep may run in other processes: each notes its start and its end in a file of the sweep, and the process
that started the sweep reads it. In a terminal that is a bar; elsewhere a line at the end.
"""

import atexit
import math
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from tqdm import tqdm

RUNNING, ENDS = "running", ("finished", "failed", "skipped")
EVERY = 0.5  # seconds from one look at the notes to the next
BAR = "{desc} |{bar:20}| {n_fmt}/{total_fmt} runs{postfix}"
CLEAR = "\r\x1b[K"  # the line of a terminal, on which another process may have drawn its bar

_watched = False  # whether another process draws the bar of this one's sweep


class Progress(Callback):
    """Hydra's callback around a sweep and its jobs, whatever the launcher."""

    def __init__(self) -> None:
        self.notes: Path | None = None  # a word a start or an end of a job; None: no sweep
        self.process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """What a job in another process needs: the bar and its thread stay here."""
        return {"notes": self.notes, "process": self.process}

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        self.start, self.total = time.monotonic(), count(config)
        self.notes = Path(config.results, config.name, f".progress-{self.process}").absolute()
        atexit.register(self.notes.unlink, missing_ok=True)  # where the sweep is interrupted
        self.bar = tqdm(total=self.total, desc=config.name, bar_format=BAR, leave=False, disable=None)
        self.last = (0, self.start)  # runs that had ended, without the skipped ones, and when
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        if not self.bar.disable:
            self.thread.start()

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        global _watched
        _watched = os.getpid() != self.process
        self._note(RUNNING)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        self._note(str(job_return.return_value).partition(" ")[0].rstrip(":"))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        assert self.notes is not None
        seen = self._seen()
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()
        self.bar.close()
        self.notes.unlink(missing_ok=True)
        self.notes = None
        told = ", ".join(f"{seen[end]} {end}" for end in ENDS if seen[end])
        print(f"{self.total} runs: {told}, in {duration(time.monotonic() - self.start)}", flush=True)

    def _note(self, word: str) -> None:
        if self.notes:
            with open(self.notes, "a") as file:  # a short line at the end of a file is written whole
                file.write(f"{word}\n")

    def _seen(self) -> Counter[str]:
        """How many runs have ended, in which way, and how many are running."""
        seen = Counter(self.notes.read_text().split() if self.notes and self.notes.exists() else ())
        seen[RUNNING] -= sum(seen[end] for end in ENDS)
        return seen

    def _watch(self) -> None:
        while not self.over.wait(EVERY):
            seen, now = self._seen(), time.monotonic()
            done, ended = seen["finished"] + seen["failed"], sum(seen[end] for end in ENDS)
            if done > self.last[0]:
                self.last = (done, now)
            told = [f"{seen[state]} {state}" for state in (ENDS[0], RUNNING, *ENDS[1:])]
            if done:
                expected = (self.last[1] - self.start) / done * (self.total - ended)
                told.append(f"about {duration(max(0.0, expected - (now - self.last[1])))} left")
            self.bar.n = ended
            self.bar.set_postfix_str(", ".join(told))  # draws


def count(config: DictConfig) -> int:
    """The number of runs of a sweep: every combination of what the sweeper's params and the command line list."""
    given = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    overrides = parser.parse_overrides([*given, *config.hydra.overrides.task])
    values = {
        one.get_key_element(): sum(1 for _ in one.sweep_string_iterator()) if one.is_sweep_override() else 1
        for one in overrides
    }
    return math.prod(values.values())


def duration(seconds: float) -> str:
    """ "42 s", "12 min", "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def epochs(number: int) -> "tqdm[int]":
    """1 to `number`, with a bar in a terminal where that of no other process is drawn."""
    return tqdm(range(1, number + 1), unit="epoch", leave=False, disable=True if _watched else None)


def say(line: str) -> None:
    """Print a line above the bars."""
    tqdm.write(CLEAR + line if _watched and sys.stdout.isatty() else line)
    sys.stdout.flush()
