"""A data set by way of its configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from attrpriors.build import build
from attrpriors.data import Dataset

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def configured() -> Callable[..., Dataset]:
    """configured("mnist", root=...): the data set of conf/data/mnist.yaml, with these settings in place of its own."""

    def load(name: str, **settings: object) -> Dataset:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            node = compose("config", [f"data={name}"]).data
        for setting, value in settings.items():
            node[setting] = value
        return build(node, seed=0)

    return load
