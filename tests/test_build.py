import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from attrpriors.attribution import ExpectedGradients
from attrpriors.build import build
from attrpriors.data import Dataset
from attrpriors.prior import AttributionPrior, NoPrior, gini


@dataclass
class Given:
    """What a target received."""

    widths: object
    data: object = None


def node(target: object, **settings: object) -> DictConfig:
    name = target if isinstance(target, str) else f"{target.__module__}.{target.__qualname__}"  # type: ignore[attr-defined]
    return OmegaConf.create({"_target_": name, **settings})


def test_settings_reach_the_target_as_plain_python() -> None:
    widths = build(node(Given, widths=[3, {"a": 4}])).widths
    assert type(widths) is list
    assert type(widths[1]) is dict


def test_live_objects_reach_the_target_as_they_are(binary: Dataset) -> None:
    assert build(node(Given, widths=1), data=binary).data is binary
    draws = torch.Generator()
    attribution = build(node(ExpectedGradients, k=7), background=binary.train.x, generator=draws)
    assert attribution.k == 7
    assert attribution.background is binary.train.x
    assert attribution.generator is draws


def test_live_objects_that_the_target_has_no_parameter_for_stay_away(binary: Dataset) -> None:
    assert isinstance(build(node(NoPrior), attribution=None, data=binary), NoPrior)


def test_a_partial_inside_a_node_becomes_a_function(binary: Dataset) -> None:
    penalty = {"_target_": "attrpriors.prior.gini", "_partial_": True}
    prior = build(node(AttributionPrior, weight=0.5, penalty=penalty), attribution=lambda *_: None, data=binary)
    assert isinstance(prior.penalty, partial)
    assert prior.penalty.func is gini


def test_unknown_settings_and_missing_objects_are_errors(binary: Dataset) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'wdiths'"):
        build(node(Given, widths=1, wdiths=2))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'background'"):
        build(node(ExpectedGradients, k=1))


def test_a_target_that_is_not_there_is_an_error() -> None:
    with pytest.raises(Exception, match=r"attrpriors\.prior\.ginny"):
        build(node("attrpriors.prior.ginny"))


def test_a_setting_without_a_value_is_named_with_where_it_belongs() -> None:
    config = OmegaConf.create({"data": dict(node(Given), widths="???", data="???")})
    with pytest.raises(ValueError, match=r"^data\.data and data\.widths must be given: found no value$"):
        build(config.data)


def typed(
    width: int, widths: Sequence[int] = (), rate: float | None = None, parts: list[object] | None = None
) -> object:
    return width, widths, rate, parts


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"width": "abc"}, "model.width takes int; found 'abc'"),
        ({"width": 1, "widths": 5}, "model.widths takes Sequence[int]; found 5"),
        ({"width": 1, "widths": [5, "six"]}, "model.widths takes Sequence[int]; found [5, 'six']"),
        ({"width": 1, "rate": "1e-"}, "model.rate takes float | None; found '1e-'"),
        ({"width": 1, "parts": [node(typed, width=None)]}, "model.parts.0.width takes int; found None"),
        ({"width": 1, "rate": "${model.widths}", "widths": [2]}, "model.rate takes float | None; found [2]"),
    ],
)
def test_a_setting_of_another_type_is_refused_where_it_stands(settings: dict[str, object], sentence: str) -> None:
    config = OmegaConf.create({"model": node(typed, **settings)})
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        build(config.model)


def test_whole_numbers_are_numbers_and_objects_are_checked_as_such() -> None:
    width, widths, rate, parts = build(node(typed, width=1, widths=[2], rate=3, parts=[node(typed, width=4), "any"]))
    assert (width, widths, rate) == (1, [2], 3)
    assert parts == [(4, (), None, None), "any"]
