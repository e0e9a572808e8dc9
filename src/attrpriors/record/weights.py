"""WEIGHTS: the trained model of a run, in its folder: weights.safetensors (no pickle) and config.yaml, its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .setting import WHERE

WEIGHTS, CONFIG = "weights.safetensors", "config.yaml"


def saved(weights: Mapping[str, Tensor], cfg: DictConfig) -> dict[str, bytes]:
    """File name -> content. The settings keep the folders of this machine, unlike those of the manifest."""
    own = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in weights.items()}
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    kept = {key: node for key, node in config.items() if key not in WHERE}
    return {WEIGHTS: save(own), CONFIG: OmegaConf.to_yaml(kept, sort_keys=True).encode()}


def restore(folder: Path, model: nn.Module) -> None:
    """Give `model` the weights of the run in `folder`; ValueError where they are of another network."""
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError as error:
        raise ValueError(f"the weights in {folder} are of another network: {' '.join(str(error).split())}") from error
