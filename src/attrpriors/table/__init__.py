"""TABLE: rows of many runs -> mean, interval, n, for machines (CSV) and people (Markdown, LaTeX).

    python -m attrpriors.table results/NAME      (a sweep does it by itself)

Data sets, stand-ins and models are never averaged over. Intervals are 95 % t intervals.
"""

import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from scipy import stats

from ..evaluate import NOISE, better
from ..record import FAILURE, sentence, write
from .comparison import compare
from .runs import COST, METHOD, PLACE, Runs, read
from .strength import strengths

CAPTION = "mean ± half-width of the 95 % t interval (number of runs); ↑ higher is better, ↓ lower is better"
STRENGTH = "the strongest weight that keeps the accuracy above the limit"
ARROW = {"higher": " ↑", "lower": " ↓", "": ""}
LATEX = {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--"}


class AfterSweep(Callback):
    """Hydra's callback: the tables and figures of a sweep, the report, an exit status that tells of its failed runs.

    `pages`: what an experiment has beside its tables; each writes NAME.md into the results folder and returns its text.

    Hydra turns any Exception of a callback into a warning; SystemExit passes.
    """

    def __init__(self, **pages: Callable[[Path], str]) -> None:
        self.pages = pages

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        self.before = _failures(Path(config.results, config.name))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        from ..report import page  # for the end of a sweep

        folder = Path(config.results, config.name)
        failed = [path for path, written in _failures(folder).items() if self.before.get(path) != written]
        messages = [f"{path.parent.name}: {path.read_text().partition(chr(10))[0]}" for path in failed]
        told = "\n  ".join([f"failed runs: {len(failed)} (traceback in their {FAILURE})", *messages]) if failed else ""
        try:
            tables = collect(folder)
            for name, write_page in self.pages.items():
                if text := write_page(folder):
                    print(f"\n{text}\n{name}: {folder / name}.md")
            print(f"\n{tables}\ntable: {folder / 'table.csv'}", flush=True)
            page.refresh(Path(config.results))
        except Exception as error:
            sys.exit(f"no tables or report of {folder}: {sentence(error)}\n{told}".strip())
        if told:
            sys.exit(told)


def _failures(folder: Path) -> dict[Path, int]:
    """failure.txt of every failed run -> when it was written, in ns."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob(f"*=*/{FAILURE}"))}


def collect(folder: Path) -> str:
    """Write the tables and figures of a results folder; the text of its main tables. ValueError without a run."""
    from .. import figure  # matplotlib is for the end of a sweep, not for the start of every job
    from . import grid

    runs = read(folder)
    if grid.holds_comparators(runs):
        return grid.collect(runs)
    if runs.rows.empty:
        raise ValueError(f"{folder} has no finished run ({len(runs.failed)} failed or unfinished)")
    table, gone = summarise(runs), _gone(runs)
    rows = runs.rows[~runs.rows["metric"].isin(COST)].drop(columns=["setting", "member", "method"])
    pages = [*wide_tables(table), *strength_tables(table)]
    files = {
        "table.csv": table.drop(columns="method").to_csv(index=False, na_rep="nan").encode(),
        "comparison.csv": compare(runs).to_csv(index=False, na_rep="nan").encode(),
        "table.md": _markdown(pages, runs.failed).encode(),
        "table.tex": "\n".join(map(_latex, pages)).encode(),
        "rows.csv.gz": gzip.compress(rows.to_csv(index=False, na_rep="nan").encode(), mtime=0),
        "manifests.jsonl": "".join(json.dumps(manifest) + "\n" for manifest in runs.manifests).encode(),
    }
    for name, content in files.items():
        write(folder / name, content)
    figure.draw(runs, table)
    main = [page for page in pages if page.topic in ("", STRENGTH)]
    said = f"\n{gone} runs of the tables before have no folder here: they are no longer in them.\n" if gone else ""
    return _markdown(main, runs.failed) + said


def _gone(runs: Runs) -> int:
    """How many runs the tables of the folder hold so far whose own folders are not there, as in a fresh clone."""
    path = runs.folder / "manifests.jsonl"
    before = [json.loads(line)["setting"] for line in path.read_text().splitlines()] if path.exists() else []
    return len(set(before) - {manifest["setting"] for manifest in runs.manifests} - set(runs.failed["setting"]))


def summarise(runs: Runs) -> pd.DataFrame:
    """labels, method, metric, better, mean, sem, low, high, n, failed: a row a method and metric.

    sem, low and high of one run are NaN; a value that is not a number makes its mean NaN.
    """
    key = [*runs.labels, "method"]
    values = runs.rows.groupby([*key, "metric"], sort=False)["value"]
    table = pd.DataFrame({"mean": values.mean(skipna=False), "sem": values.sem(skipna=False), "n": values.size()})
    table = table.reset_index()
    half = stats.t.ppf(0.975, table["n"] - 1) * table["sem"]
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    lost = runs.failed[runs.failed["data"] != ""].groupby(key, sort=False).size().rename("failed").reset_index()
    nothing = lost.merge(table[key].drop_duplicates(), how="left", indicator=True).query("_merge == 'left_only'")
    table = table.merge(lost, how="left", on=key)
    if len(nothing):  # methods of which no run finished
        table = pd.concat([table, nothing.drop(columns="_merge").assign(metric="", n=0)])
    table = table.fillna({"failed": 0}).astype({"failed": int, "n": int})
    table["better"] = table["metric"].map(better)
    return table[[*key, "metric", "better", "mean", "sem", "low", "high", "n", "failed"]].reset_index(drop=True)


class Page(NamedTuple):
    """A table for people: a row a method."""

    place: str
    topic: str  # "" for the main metrics
    cells: pd.DataFrame

    @property
    def title(self) -> str:
        return f"{self.place}: {self.topic}" if self.topic else self.place


def wide_tables(table: pd.DataFrame) -> Iterator[Page]:
    """For each data set and model its main metrics, then its noise levels and its cost."""
    for (data, source, model), part in table.groupby(PLACE, sort=False):
        place = f"{data} ({source}), model {model}"
        metrics = [metric for metric in part["metric"].unique() if metric and metric not in COST]
        main = _wide(part, {metric: metric for metric in metrics if "/" not in metric})
        failed = part.groupby("method", sort=False)["failed"].first()
        yield Page(place, "", main.assign(failed=failed.to_numpy()) if failed.any() else main)
        for kind in dict.fromkeys(metric.rpartition("=")[0] for metric in metrics if "/" in metric):
            levels = {metric: metric.rpartition("=")[2] for metric in metrics if metric.startswith(f"{kind}=")}
            measured, setting = kind.split("/", 1)
            noise = " noise" if setting in NOISE else ""
            yield Page(place, f"{measured} under {setting}{noise}, by level", _wide(part, levels))
        yield Page(place, "cost", _cost(part))


def strength_tables(table: pd.DataFrame) -> Iterator[Page]:
    """Which strength of each prior is chosen, in a table of validation rows."""
    found = strengths(table)
    for (data, source, model), part in found.groupby(PLACE, sort=False):
        chosen = part[part["chosen"]].drop(columns=[*PLACE, "chosen"])
        tried = part.groupby("prior", sort=False)["weight"].agg(lambda values: ", ".join(f"{v:g}" for v in values))
        cells = chosen.assign(tried=chosen["prior"].map(tried)).round(4)
        yield Page(f"{data} ({source}), model {model}", STRENGTH, cells)


def _wide(place: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Cells of the metrics in `columns` (metric -> header), in that order."""
    cells = place.assign(cell=[_cell(*values) for values in place[["mean", "high", "n"]].itertuples(index=False)])
    wide = cells.pivot(index="method", columns="metric", values="cell")
    wide = wide.reindex(index=place["method"].unique(), columns=list(columns)).fillna("–")
    wide.columns = pd.Index([header + ARROW[better(metric)] for metric, header in columns.items()])
    plain = (place["prior"] == "none").all() and "explain" in place  # networks without a prior, explained by several
    return wide.rename_axis("attribution" if plain else "prior").reset_index()


def _cell(mean: float, high: float, n: int) -> str:
    """ "0.912 ± 0.013 (5)": two digits of the half-width, and the mean as far."""
    half = high - mean
    if np.isnan(half):
        return f"{mean:.4g} ({n})"
    decimals = 1 - int(np.floor(np.log10(half))) if half > 0 else 6
    if decimals > 5:
        return f"{mean:.4g} ± {half:.2g} ({n})"
    return f"{mean:.{max(decimals, 0)}f} ± {half:.{max(decimals, 0)}f} ({n})"


def _cost(place: pd.DataFrame) -> pd.DataFrame:
    """Seconds of an epoch and peak memory, and how many times those of the prior-free run they are."""
    alike = [label for label in place.loc[:, :"method"] if label not in (*PLACE, *METHOD, "method")] + ["metric"]
    cost = place[place["metric"].isin(COST)]
    free = cost[cost["prior"] == "none"].groupby(alike, as_index=False)["mean"].mean()
    cost = cost.merge(free, how="left", on=alike, suffixes=("", "_free"))
    ratio = cost["mean"] / cost["mean_free"]
    cost["times"] = ratio.map("{:.2f}".format).where(ratio.notna())
    times = cost.pivot(index="method", columns="metric", values="times").dropna(axis=1, how="all")
    wide = _wide(place, {metric: metric for metric in COST if metric in set(cost["metric"])})
    wide = wide.set_index(wide.columns[0])
    for metric in (metric for metric in COST if metric in times):
        wide[f"{metric} / prior-free"] = times[metric]
    return wide.fillna("–").reset_index()


def _markdown(pages: list[Page], failed: pd.DataFrame) -> str:
    text = f"Cells: {CAPTION}.\n"
    for page in pages:
        text += f"\n### {page.title}\n\n{page.cells.to_markdown(index=False, disable_numparse=True)}\n"
    if len(failed):
        text += "\nFailed or unfinished runs:\n\n"
        text += "".join(f"- `{setting}`: {message}\n" for setting, message in failed[["setting", "message"]].values)
    return text


def _latex(page: Page) -> str:
    caption = re.sub(r"([%_&#$])", r"\\\1", f"{page.title}. Cells: {CAPTION}")
    text = page.cells.to_latex(index=False, escape=True, caption=caption)
    for sign, command in LATEX.items():
        text = text.replace(sign, command)
    return text
