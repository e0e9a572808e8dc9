"""From a configuration node to the object it names."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, get_type_hints

import numpy as np
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from .choices import choices

# ${choices:} in the help of conf/config.yaml
OmegaConf.register_new_resolver("choices", choices, replace=True)
# ${range:20}, ${range:1000,1010}: the list of whole numbers, as Python's range
OmegaConf.register_new_resolver("range", lambda *bounds: list(range(*bounds)), replace=True)
# ${logspace:-2,2,5}: 0.01, 0.1, 1, 10, 100; ${linspace:0.1,0.9,5}; as NumPy's, to four digits
OmegaConf.register_new_resolver("logspace", lambda *bounds: rounded(np.logspace(*bounds)), replace=True)
OmegaConf.register_new_resolver("linspace", lambda *bounds: rounded(np.linspace(*bounds)), replace=True)
# ${item:${strengths},0}: the first of a list
OmegaConf.register_new_resolver("item", lambda values, place: values[place], replace=True)
# ${blocks:40,4}: [0,1,2,3],[4,5,6,7],...: the seeds 0 to 39 as the parts of a sweep
OmegaConf.register_new_resolver("blocks", lambda count, size: blocks(count, size), replace=True)


def rounded(values: np.ndarray) -> list[float]:
    """To four significant digits, so that a grid's numbers read well and repeat themselves."""
    return [float(f"{value:.4g}") for value in values]


def blocks(count: int, size: int) -> str:
    """The whole numbers below `count` in lists of `size`, as the choices of a sweep."""
    numbers = [str(number) for number in range(count)]
    return ",".join(f"[{','.join(numbers[start : start + size])}]" for start in range(0, count, size))


def build(node: DictConfig, **live: Any) -> Any:
    """Call the node's `_target_` with its settings and those `live` objects that it has a parameter for.

    The live objects reach it as they are (instantiate would turn a dataclass into a DictConfig). ValueError where a
    setting has no value yet, or one that is not of its parameter's type.
    """
    if missing := sorted(OmegaConf.missing_keys(node)):
        raise ValueError(f"{' and '.join(missing)} must be given: found no value")
    check(OmegaConf.to_container(node, resolve=True), node._get_full_key(None))
    return complete(instantiate(node, _partial_=True, _convert_="all"), **live)


def complete(target: Callable[..., Any], **live: Any) -> Any:
    """Call `target`, usually a partial, with those `live` objects that it has a parameter for."""
    accepted = inspect.signature(getattr(target, "func", target)).parameters
    return target(**{name: value for name, value in live.items() if name in accepted})


def check(part: Any, place: str) -> None:
    """ValueError where a setting of an object in this part of a configuration is of another type than its parameter."""
    kinds = parameters(part)
    for name, value in members(part):
        where = f"{place}.{name}".lstrip(".")
        check(value, where)
        if name in kinds and not names_object(value):
            try:
                check_type(value, kinds[name], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
            except TypeCheckError:
                takes = re.sub(r"(\w+\.)+", "", inspect.formatannotation(kinds[name]))
                raise ValueError(f"{where} takes {takes}; found {value!r}") from None


def members(part: Any) -> Iterable[tuple[Any, Any]]:
    return part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()


def names_object(part: Any) -> bool:
    return (isinstance(part, dict) and "_target_" in part) or any(names_object(value) for _, value in members(part))


def parameters(part: Any) -> dict[str, Any]:
    """The types that the object's parameters are annotated with."""
    if not isinstance(part, dict) or "_target_" not in part:
        return {}
    target = get_object(part["_target_"])
    return get_type_hints(target.__init__ if inspect.isclass(target) else target)
