"""FACTS: what the numbers of a results folder stand on, from its manifests: data, cost, time, machine, code, seeds."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

Manifest = dict[str, Any]


def facts(folder: Path) -> list[tuple[str, str]]:
    """(what, said) of a results folder; empty without manifests."""
    manifests = read(folder)
    if not manifests:
        return []
    said = [*_data(manifests), *_runs(folder), *_cost(folder)]
    return [*said, ("machine time", _time(manifests)), ("machine", _machine(manifests)), *_code(manifests)]


def read(folder: Path) -> list[Manifest]:
    """The manifests of a results folder: of its runs, or of the parts of the bench."""
    if (lines := folder / "manifests.jsonl").exists():
        return [json.loads(line) for line in lines.read_text().splitlines()]
    return (
        list(json.loads((folder / "manifest.json").read_text()).values()) if (folder / "manifest.json").exists() else []
    )


def _data(manifests: Sequence[Manifest]) -> Iterator[tuple[str, str]]:
    described = {}
    for manifest in (manifest for manifest in manifests if "data" in manifest):
        data, labels = manifest["data"], manifest["labels"]
        files = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in data["files"].items())
        said = f"{labels['data']} ({labels['source']}): {data['name']}"
        described[labels["data"]] = f"{said}; sha256 of {files}" if files else said
    if described:
        yield "data", "; ".join(described.values())


def _runs(folder: Path) -> Iterator[tuple[str, str]]:
    if not (folder / "rows.csv.gz").exists():
        return
    seeds = sorted(pd.read_csv(folder / "rows.csv.gz", usecols=["seed"])["seed"].unique())
    whole = seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2
    yield "seeds", f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))
    failed = pd.read_csv(folder / "table.csv")["failed"].max()
    if failed:
        yield "failed or unfinished runs", f"up to {failed} of a method, named below the tables"


def _cost(folder: Path) -> Iterator[tuple[str, str]]:
    """Seconds of an epoch with each prior over those without: means of the runs."""
    table = pd.read_csv(folder / "table.csv") if (folder / "table.csv").exists() else pd.DataFrame({"metric": []})
    seconds = table[table["metric"] == "seconds_per_epoch"]
    if seconds.empty or not (seconds["prior"] == "none").any():
        return
    means = seconds.groupby(["data", "prior"], sort=False)["mean"].mean().reset_index()
    free = means[means["prior"] == "none"].set_index("data")["mean"]
    said = [
        f"{prior} {mean / free[data]:.2f}"
        for data, prior, mean in means.values
        if prior != "none" and data in free.index
    ]
    if said:
        yield "cost of the prior", f"{', '.join(said)} times the epoch without one"


def _time(manifests: Sequence[Manifest]) -> str:
    spent = [manifest["seconds"] for manifest in manifests]
    totals = [one["total"] if isinstance(one, dict) else one for one in spent]
    days = sorted({manifest["finished"][:10] for manifest in manifests})
    said = f"{_clock(sum(totals))} in {len(totals)} record{'s' * (len(totals) > 1)}"
    peak = max((manifest.get("peak_memory_mb", 0) for manifest in manifests), default=0)
    return f"{said}, finished {' and '.join(sorted({days[0], days[-1]}))}" + f"; peak memory {peak:.0f} MB" * bool(peak)


def _clock(seconds: float) -> str:
    """ "52 s", "12 min", "1 h 52 min"."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _machine(manifests: Sequence[Manifest]) -> str:
    told = [
        f"{one['processor']}, {one['threads']} thread{'s' * (one['threads'] > 1)}, device {one['device']}"
        for one in manifests
    ]
    return "; ".join(dict.fromkeys(told))


def _code(manifests: Sequence[Manifest]) -> Iterator[tuple[str, str]]:
    commits = [
        f"{(one['commit'] or 'none')[:12]}{' with changes that are not committed' if one['dirty'] else ''}"
        for one in manifests
    ]
    yield "commit", "; ".join(dict.fromkeys(commits))
    versions = [", ".join(f"{name} {version}" for name, version in one["versions"].items()) for one in manifests]
    yield "versions", "; ".join(dict.fromkeys(versions))
