"""From a configuration node to the object it names."""

import inspect
from collections.abc import Callable
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from .choices import choices

# ${choices:} in the help of conf/config.yaml
OmegaConf.register_new_resolver("choices", choices, replace=True)
# ${range:20}, ${range:1000,1010}: the list of whole numbers, as Python's range
OmegaConf.register_new_resolver("range", lambda *bounds: list(range(*bounds)), replace=True)


def build(node: DictConfig, **live: Any) -> Any:
    """Call the node's `_target_` with its settings and those `live` objects that it has a parameter for.

    The live objects reach it as they are (instantiate would turn a dataclass into a DictConfig).
    """
    return complete(instantiate(node, _partial_=True, _convert_="all"), **live)


def complete(target: Callable[..., Any], **live: Any) -> Any:
    """Call `target`, usually a partial, with those `live` objects that it has a parameter for."""
    accepted = inspect.signature(getattr(target, "func", target)).parameters
    return target(**{name: value for name, value in live.items() if name in accepted})
