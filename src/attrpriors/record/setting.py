"""SETTING: what a run is, from its Hydra job: folder name, labels, config. Two runs with one config are one run."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

# where a run happens and what is kept of it, not what it is
WHERE = {"name", "results", "threads", "device", "experiment", "hydra", "weights", "tensorboard", "checkpoint", "rows"}


@dataclass(frozen=True)
class Run:
    """What a run is, and its folder."""

    folder: Path
    labels: dict[str, Any]  # the columns of its rows
    config: dict[str, Any]  # resolved, without WHERE
    choices: dict[str, str]  # group -> the name of the choice
    replicate: str  # digest of the config without its seed: equal for replicates

    @property
    def setting(self) -> str:
        return self.folder.name


def identify(cfg: DictConfig) -> Run:
    """The run of the current Hydra job."""
    job = HydraConfig.get()
    choices = {key: str(value) for key, value in job.runtime.choices.items() if key.split("/")[0] not in WHERE}
    config = _resolved(cfg)
    keys = {override.lstrip("+~").split("=")[0] for override in job.overrides.task} | {"seed"}
    chosen = {key: look_up(config, choices, key) for key in sorted(keys - WHERE)}
    labels: dict[str, Any] = {"data": choices.get("data", ""), "source": ""}  # known once the data are there
    labels |= {key: choices.get(key, "") for key in ("model", "attribution", "prior")}
    labels |= {"weight": look_up(config, choices, "prior.weight") or 0, "seed": look_up(config, choices, "seed")}
    if "comparator" in choices and "strength" in config:
        labels["strength"] = config["strength"]
    labels |= {key: value for key, value in chosen.items() if key not in labels and key != "prior.weight"}
    replicate = cfg.copy()
    replicate.seed = 0
    folder = Path(cfg.results, cfg.name, folder_name(chosen))
    return Run(folder, labels, config, choices, digest(canonical(_resolved(replicate))))


def folder_name(chosen: Mapping[str, Any]) -> str:
    """ "prior=gini,seed=0"; ends in a digest where a character or the length had to give way."""
    full = ",".join(f"{key}={_short(value)}" for key, value in chosen.items())
    name = re.sub(r"[^\w.,=+@\[\]-]", "_", full, flags=re.ASCII)[:180]
    return name if name == full else f"{name}-{digest(full)[:8]}"


def _short(value: Any) -> Any:
    """A list of whole numbers in a row by its ends: "[0,1,2,3]" is "0..3"."""
    ends = re.fullmatch(r"\[(\d+)(?:,\d+)+,(\d+)\]", str(value))
    if not ends or json.loads(value) != list(range(int(ends[1]), int(ends[2]) + 1)):
        return value
    return f"{ends[1]}..{ends[2]}"


def look_up(config: Mapping[str, Any], choices: Mapping[str, str], key: str) -> Any:
    """The choice of a group or the value of a dotted key (lists as JSON); "" where this run has no such key."""
    if key in choices:
        return choices[key]
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return ""
        node = node[part]
    return node if isinstance(node, str | int | float) else json.dumps(node, separators=(",", ":"))


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The first key in which two configs differ, with both values."""
    one, other = dict(_leaves(there)), dict(_leaves(here))
    key = min(key for key in one | other if one.get(key, "absent") != other.get(key, "absent"))
    return f"{key} is {one.get(key, 'absent')!r} there and {other.get(key, 'absent')!r} here"


def canonical(config: Mapping[str, Any]) -> str:
    """One text for one config."""
    return json.dumps(config, sort_keys=True)


def digest(content: str | bytes) -> str:
    """sha256 in hexadecimal digits."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return {key: _portable(value) for key, value in sorted(config.items()) if key not in WHERE}


def _portable(value: Any) -> Any:
    """The same without the folders of this machine: an absolute path is its last part and a digest."""
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return f"{Path(value).name}-{digest(value)[:8]}"
    return value
