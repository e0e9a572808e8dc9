"""The 18 metrics against those of the SHAP package, closed forms, values computed by hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rows import made_up
from sklearn.metrics import auc, r2_score
from torch import Tensor, nn

from attrpriors.attribution import ExpectedGradients, Gradient, Random
from attrpriors.data import Dataset
from attrpriors.evaluate import better
from attrpriors.evaluate.masking import Masking, areas, background, conditional_mean, counts, fills
from attrpriors.model import mlp
from attrpriors.table import published
from attrpriors.table.published import ahead, paired
from attrpriors.table.runs import Runs

KINDS = [
    (kind, sign, mask) for sign in (1, -1, 0) for kind in ("keep", "remove") for mask in ("mask", "resample", "impute")
]
NAMES = {1: "positive", -1: "negative", 0: "absolute", "mask": "mean", "resample": "resample", "impute": "impute"}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """100 correlated rows of nine features."""
    draws = seeded(4)
    x = torch.randn(100, 9, generator=draws) @ torch.randn(9, 9, generator=draws)
    return made_up("data", "regression", x, x[:, 0] - x[:, 4].abs(), (70, 10, 20), truth=torch.arange(9) % 4 == 0)


@pytest.fixture(scope="module")
def model(data: Dataset) -> nn.Module:
    torch.manual_seed(5)
    return mlp(data, hidden=[8])


@pytest.fixture(scope="module")
def phi() -> Tensor:
    return torch.randn(20, 9, generator=seeded(6))


def of_shap(data: Dataset, model: nn.Module, phi: Tensor, kind: str, sign: int, mask: str) -> float:
    """The area under the curve of the SHAP package's own measure."""
    measures = pytest.importorskip("shap.benchmark.measures")

    class Predictor:
        def predict(self, x: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return model(torch.tensor(x, dtype=torch.float32)).reshape(-1).double().numpy()

    (x, y), (train, target) = ((part.x.double().numpy(), part.y.numpy()) for part in (data.test, data.train))
    value = (sign * phi if sign else phi.abs()).double().numpy()
    metric: Callable = (lambda true, found: found.mean()) if sign else r2_score
    steps, curve = counts(9), []
    for step in steps:
        count = np.minimum(step, (value >= 0).sum(1)).astype(int)
        curve.append(
            getattr(measures, f"{kind}_{mask}")(count, train, target, x, y, value, None, metric, Predictor(), 3)
        )
    turned = {(1, "remove"): lambda v: -v, (-1, "keep"): lambda v: -v, (0, "remove"): lambda v: 1 - v}
    return auc(steps, turned.get((sign, kind), lambda v: v)(np.array(curve))) / 9


@pytest.mark.parametrize(("kind", "sign", "mask"), KINDS)
def test_a_metric_is_that_of_the_shap_package(
    kind: str, sign: int, mask: str, data: Dataset, model: nn.Module, phi: Tensor
) -> None:
    ties = torch.zeros(9)
    rows = dict(areas(model, data.test.x, data.test.y, phi, fills(data, background(data, seed=3)), ties))
    assert len(rows) == len(KINDS)
    expected = of_shap(data, model, phi, kind, sign, mask)
    assert rows[f"{kind}/mask={NAMES[sign]}_{NAMES[mask]}"] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_areas_of_a_difference_of_two_features() -> None:
    # f = x1 - x2 at (1, 1): without the second f is 1, without the first -1, with both or none 0
    x = torch.tensor([[1.0, 1.0]])
    train = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [2.0, -1.0], [-2.0, 1.0]])
    both = made_up("both", "regression", torch.cat([train, x, x]), torch.zeros(6), (4, 1, 1))
    difference = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        difference.weight.copy_(torch.tensor([[1.0, -1.0]]))
    rows = dict(areas(difference, x, torch.ones(1), torch.tensor([[1.0, -1.0]]), fills(both, train), torch.zeros(2)))
    for kind in ("keep", "remove"):
        for sign in ("positive", "negative"):
            # 0 with no feature, 1 with one, and no second feature has the sign: the mean of (0 + 1) / 2 and 1
            assert rows[f"{kind}/mask={sign}_mean"] == pytest.approx(0.75, abs=1e-6)


def test_a_hidden_feature_is_imputed_from_the_one_it_is_correlated_with() -> None:
    covariance = torch.tensor([[1.0, 0.6, 0.0], [0.6, 4.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    x = torch.tensor([[2.0, 5.0, 7.0]], dtype=torch.float64)
    place, seen = torch.tensor([[1, 0, 2]]), torch.tensor([[0], [1], [2], [3]])
    means = conditional_mean(x, covariance, place, seen)[:, 0]
    expected = [[0.0, 0.0, 0.0], [0.6 / 4 * 5, 5.0, 0.0], [2.0, 5.0, 0.0], [2.0, 5.0, 7.0]]
    torch.testing.assert_close(means, torch.tensor(expected, dtype=torch.float64))


def test_counts_of_the_protocol() -> None:
    assert list(counts(60)) == [0, 2, 4, 7, 10, 14, 20, 27, 35, 46, 60]


METHODS = {
    "expected_gradients": partial(ExpectedGradients, k=3),
    "gradient": Gradient,
    "random": Random,
}


def measured(data: Dataset, model: nn.Module, *names: str) -> dict[tuple[str, str], float]:
    rows, arrays = Masking({name: METHODS[name] for name in names}, 0, seeded(1))(model, data)
    assert arrays == {}
    return {(labels["explain"], metric): value for metric, value, labels in rows}


def test_every_method_has_18_metrics_and_one_more_method_moves_no_other(data: Dataset, model: nn.Module) -> None:
    alone, together = measured(data, model, "expected_gradients"), measured(data, model, *reversed(METHODS))
    more = {"r2", "truth_average_precision", "completeness_error"}
    for name in METHODS:
        metrics = [metric for method, metric in together if method == name]
        assert sum(metric.startswith(("keep/", "remove/")) for metric in metrics) == 18
        assert more <= set(metrics)
        assert all(better(metric) == "higher" for metric in metrics if metric != "completeness_error")
    assert alone.items() <= together.items()
    assert np.isfinite(list(together.values())).all()


def test_masking_of_classes_is_refused(images: Dataset) -> None:
    with pytest.raises(ValueError, match="masking needs a regression on a table; images has the output classes"):
        Masking({}, 0, seeded())(nn.Identity(), images)


# Beside published numbers


def test_how_often_a_method_is_ahead_has_the_published_p() -> None:
    assert ahead(pd.Series([1.0] * 17 + [-1.0])) == "17 of 18 metrics (one-sided binomial p = 7.2e-05)"


def test_published_numbers_stand_beside_the_same_metrics_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ["setting", "member", "method", "data", "source", "model", "prior", "seed", "metric", "value"]
    labels = ["data", "source", "model", "prior"]
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("# a paper\ndata,prior,metric,published\nmnist,none,accuracy,.5 (v2: .6)\n")

    def text(metric: str) -> str:
        run = ("none", -1, "none", "mnist", "real", "cnn", "none", 0, metric, 0.25)
        runs = Runs(tmp_path, labels, pd.DataFrame([run], columns=columns), pd.DataFrame(columns=columns), [])
        monkeypatch.setattr(published, "read", lambda folder: runs)
        return published.collect(tmp_path, str(numbers), "prior")

    assert text("validation_accuracy") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.csv"]
    assert "| none    | 0.25 (1) / .5 (v2: .6) |" in text("accuracy")
    assert (tmp_path / "published.md").is_file()


def test_differences_are_paired_by_seed() -> None:
    values = {("one", 0): 3.0, ("one", 1): 5.0, ("other", 0): 2.0, ("other", 1): 2.0, ("third", 0): 9.0}
    rows = pd.DataFrame([(*key, "keep/mask=a", value) for key, value in values.items()])
    rows.columns = pd.Index(["explain", "seed", "metric", "value"])
    table = pd.DataFrame({"explain": ["one", "other"], "metric": "keep/mask=a", "published": ["4.5", "4.25"]})
    gap = paired(rows, table, "explain", ["one", "other"]).loc["keep/mask=a"]
    assert gap["mean"] == pytest.approx(2)
    assert gap["published"] == pytest.approx(0.25)
    assert gap["high"] - gap["mean"] == pytest.approx(12.706, abs=1e-3)  # t of 97.5 % with one degree of freedom
    one_more = pd.concat([rows, rows.query("seed == 1 and explain == 'one'").assign(seed=2)])  # the other failed there
    pd.testing.assert_series_equal(paired(one_more, table, "explain", ["one", "other"]).loc["keep/mask=a"], gap)
