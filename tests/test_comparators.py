"""Every comparator of the health experiments, and what is measured of it. Those of drugs: tests/test_response.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import open_dict
from sklearn.metrics import roc_auc_score
from test_conf import composed, names

from attrpriors.build import blocks, build, complete
from attrpriors.data import Dataset
from attrpriors.evaluate.sparsity import holding, ranks
from attrpriors.record import stream
from attrpriors.record.members import spread


@pytest.mark.parametrize("name", [name for name in names("comparator") if "/" not in name])
def test_every_comparator_is_trained_and_measured(name: str, binary: Dataset) -> None:
    data = replace(binary, features=("Age", *binary.features[1:]))
    cfg = composed("experiment=health", f"comparator={name}")
    with open_dict(cfg):
        small = [(cfg, "strengths", [0.5]), (cfg, "rates", [0.5]), (cfg.explain, "k", 5), (cfg.train, "epochs", 1)]
        for node, key, value in [*small, (cfg.train, "trees", [2]), (cfg.model, "hidden", [8])]:
            if node.get(key) is not None:
                node[key] = value
    _, (cfg,) = spread(cfg)
    model = build(cfg.model, data=data)
    attribution = build(cfg.attribution, background=data.train.x, generator=stream(0, "attribution"))
    prior = build(cfg.prior, attribution=attribution, data=data)
    build(cfg.train, generator=stream(0, "batches")).fit(model, data, prior)
    explain = build(cfg.explain, background=data.train.x, generator=stream(0, "explain"))
    rows, arrays = complete(
        build(cfg.evaluate, generator=stream(0, "evaluate")), model=model, data=data, explain=explain
    )
    found = dict(rows)
    explained = {"gini", "features_90", "truth_precision", "truth_recall"} if name != "trees" else set()
    assert set(found) == {"validation_roc_auc", "roc_auc", "average_precision"} | explained
    assert np.isfinite(list(found.values())).all()
    tested = arrays["rank"] > 0
    assert roc_auc_score(arrays["outcome"][tested], arrays["rank"][tested]) == pytest.approx(found["roc_auc"])
    if name == "age":
        assert found["features_90"] == 1


def test_the_features_that_hold_nine_tenths() -> None:
    assert holding(torch.tensor([1.0, 5.0, 0.5, 3.5])).tolist() == [1, 3, 0]
    assert holding(torch.tensor([0.0, 2.0, 0.0])).tolist() == [1]
    assert holding(torch.zeros(3)).tolist() == []


def test_ranks_are_of_the_test_people_in_the_order_of_all(binary: Dataset) -> None:
    scores = np.linspace(3, -3, len(binary.test))
    scores[1] = scores[0]
    arrays = ranks(scores, binary)
    place = np.argsort(np.concatenate([part.unit for part in binary.parts.values()]))
    assert arrays["rank"][binary.test.unit].tolist() == [12, 12, *range(11, 0, -1)]
    assert (arrays["rank"] > 0).sum() == len(binary.test)
    everyone = torch.cat([part.y for part in binary.parts.values()]).numpy()[place]
    assert (arrays["outcome"] == everyone).all()


def test_parts_of_a_sweep_are_lists_of_seeds() -> None:
    assert blocks(5, 2) == "[0,1],[2,3],[4]"
