"""The command: measures, prints and writes results/bench/, each table as soon as it is there."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import torch

from ..record import MANIFEST, machine, write
from . import growth, page
from .ceiling import prepare
from .formulation import load_authors
from .plan import FULL, PARTS, QUICK, Plan, measured

OTHERS = ("captum", "shap")  # whose versions matter as well


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m attrpriors.bench", description=__doc__)
    found.add_argument("--quick", action="store_true", help="fewer rounds, no VGG16, nothing compiled: three minutes")
    found.add_argument("--grow", action="store_true", help="also how cost grows with sizes (growth.csv, growth.png)")
    found.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone, beside what the folder holds")
    found.add_argument("--authors", type=Path, metavar="CHECKOUT", help="of suinleelab/attributionpriors")
    found.add_argument("--device", default="cpu", help="cpu or cuda")
    found.add_argument("--threads", type=int, default=2)
    found.add_argument("--folder", type=Path, help="where the tables go; else results/bench or results/quick/bench")
    return found


def main(arguments: Sequence[str] | None = None, plan: Plan | None = None) -> None:
    given = parser().parse_args(arguments)
    plan = plan or (QUICK if given.quick else FULL)
    try:
        machine.check(given.device)
        if given.threads < 1:
            raise ValueError(f"threads is 1 or more; found {given.threads}")
        if given.authors:
            load_authors(given.authors)
    except ValueError as refusal:
        sys.exit(str(refusal))
    prepare()
    torch.set_num_threads(given.threads)
    folder = given.folder or Path("results/quick/bench" if given.quick else "results/bench")
    folder.mkdir(parents=True, exist_ok=True)
    if not given.only:
        clear(folder)
    for part in given.only or [part for part in PARTS if given.grow or part != "growth"]:
        start = time.perf_counter()
        for name, table in measured(part, plan, given.device, given.authors):
            keep(folder, name, table, given, time.perf_counter() - start)
            start = time.perf_counter()
    print(f"tables: {folder}/table.md")


def clear(folder: Path) -> None:
    """Remove what an earlier run left: its tables do not stand beside those of this one."""
    path = folder / MANIFEST
    for name in json.loads(path.read_text()) if path.exists() else ():
        (folder / f"{name}.csv").unlink(missing_ok=True)
    for old in (path, folder / "table.md", *folder.glob("growth.*")):
        old.unlink(missing_ok=True)


def keep(folder: Path, name: str, table: pd.DataFrame, given: argparse.Namespace, seconds: float) -> None:
    """Write and print a table; the manifest tells of each on what it was measured, table.md holds all of the folder."""
    print(f"\n{name} ({seconds:.0f} s)\n{page.numbers(table).to_markdown(index=False, disable_numparse=True)}")
    write(folder / f"{name}.csv", table.to_csv(index=False, na_rep="nan").encode())
    if name == "growth":
        growth.draw(table, folder / "growth")
    path = folder / MANIFEST
    manifest = json.loads(path.read_text()) if path.exists() else {}
    manifest[name] = {
        "quick": given.quick,
        "authors": given.authors is not None,
        **machine.describe(given.device),
        "others": {package: metadata.version(package) for package in OTHERS if find_spec(package)},
        "seconds": round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write(path, json.dumps(manifest, indent=1).encode())
    tables = {known: pd.read_csv(folder / f"{known}.csv") for known in manifest}
    write(folder / "table.md", page.markdown(tables, manifest).encode())


if __name__ == "__main__":
    main()
