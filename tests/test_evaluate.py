from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor, nn

from attrpriors.attribution import ExpectedGradients, Gradient
from attrpriors.data import Dataset, Graph, Split
from attrpriors.evaluate import (
    Evaluation,
    better,
    completeness_error,
    performance,
    roc_auc,
    scores_of,
    validation_score,
)
from attrpriors.evaluate.noise import gaussian, salt_and_pepper
from attrpriors.model import linear
from attrpriors.prior import gini, graph_variation, total_variation


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def split(y: list[float], offset: list[float] | None = None, kind: torch.dtype = torch.float32) -> Split:
    shift = None if offset is None else torch.tensor(offset)
    return Split(torch.zeros(len(y), 1), torch.tensor(y, dtype=kind), np.arange(len(y)), shift)


# Performance against values computed by hand


def test_performance_on_classes() -> None:
    scores = torch.tensor([[0.0, 3.0], [3.0, 0.0], [0.0, 3.0]]).mul(torch.tensor(3.0).log() / 3)  # odds of 3
    rows = dict(performance(scores, split([1, 1, 1], kind=torch.int64), "classes"))
    assert rows == pytest.approx({"accuracy": 2 / 3, "log_loss": -np.log([0.75, 0.25, 0.75]).mean()})


def test_performance_on_two_outcomes() -> None:
    odds = torch.tensor([[1 / 3], [4.0], [2.0], [0.5]])  # of the outcome 1, which the second and fourth have
    rows = dict(performance(odds.log(), split([0, 1, 0, 1]), "binary"))
    assert rows == pytest.approx(
        {
            "accuracy": 2 / 4,
            "log_loss": -np.log([3 / 4, 4 / 5, 1 / 3, 1 / 3]).mean(),
            "roc_auc": 3 / 4,  # of four pairs the fourth row loses one, to the third
            "average_precision": (1 / 1 + 2 / 3) / 2,
        }
    )


def test_performance_on_a_value_with_an_offset() -> None:
    rows = dict(performance(torch.tensor([[1.0], [2.0], [4.0]]), split([1, 2, 3], [10, 0, -10]), "regression"))
    # outcomes 11, 2, -7: squares about their mean 162; without the offset 2; one residual of 1
    assert rows == pytest.approx({"r2": 1 - 1 / 162, "mean_squared_error": 1 / 3, "r2_within_drug": 1 - 1 / 2})


def test_performance_on_a_value_without_an_offset() -> None:
    rows = dict(performance(torch.tensor([1.0, 2.0, 4.0]), split([1, 2, 3]), "regression"))
    assert rows == pytest.approx({"r2": 1 - 1 / 2, "mean_squared_error": 1 / 3})


@pytest.mark.parametrize(("name", "metric"), [("images", "accuracy"), ("binary", "roc_auc"), ("regression", "r2")])
def test_the_metric_that_chooses_epochs_is_that_of_the_validation_rows(
    name: str, metric: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(name)
    torch.manual_seed(0)
    model = linear(data)
    chosen, value = validation_score(model, data)
    assert chosen == metric
    assert better(metric) == "higher"
    assert value == dict(performance(model(data.val.x).detach(), data.val, data.output))[metric]


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_the_area_under_the_roc_curve_is_scikit_learns_ties_included(levels: int, kind: type) -> None:
    draws = np.random.default_rng(levels)
    for rows in (2, 7, 100):
        y = np.append(draws.integers(0, 2, rows - 2), [0, 1]).astype(kind)
        score = draws.integers(0, levels, rows) / 3 - y / 5
        assert roc_auc(score, y) == pytest.approx(metrics.roc_auc_score(y, score), abs=1e-12)
    assert roc_auc(np.zeros(4), np.array([0, 1, 1, 0])) == 0.5


def test_scores_that_are_not_finite_cannot_choose_an_epoch(binary: Dataset) -> None:
    with pytest.raises(FloatingPointError, match="validation scores are not finite"):
        validation_score(lambda_module(lambda x: x[:, :1] / 0), binary)


def test_validation_rows_of_one_class_cannot_choose_an_epoch_by_roc_auc(binary: Dataset) -> None:
    data = replace(binary, val=replace(binary.val, y=torch.ones_like(binary.val.y)))
    with pytest.raises(ValueError, match=r"^binary: the validation rows hold one class only"):
        validation_score(linear(data), data)


def lambda_module(function: Callable[[Tensor], Tensor]) -> nn.Module:
    module = nn.Identity()
    module.forward = function  # type: ignore[method-assign]
    return module


def test_scores_are_taken_in_eval_mode_without_a_graph_in_batches() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.9))
    x = torch.randn(7, 1, generator=seeded())
    scores = scores_of(model, x, batch=3)
    assert not scores.requires_grad
    assert model[1].training
    torch.testing.assert_close(scores, model[0](x).detach())


def test_every_metric_has_a_direction() -> None:
    for metric in ("accuracy", "roc_auc", "r2", "r2_within_drug", "gini", "average_precision"):
        assert better(metric) == better(f"validation_{metric}") == "higher"
    for metric in ("log_loss", "mean_squared_error", "total_variation", "graph_variation", "completeness_error"):
        assert better(metric) == "lower"
    assert better("accuracy/salt_and_pepper=0.05") == better("accuracy/gaussian=0.1") == "higher"
    assert better("best_epoch") == better("accuracy_of_nothing") == ""


# Noise


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_salt_and_pepper_changes_its_share_of_pixels_half_to_each_side(share: float) -> None:
    x = torch.rand(20, 2, 30, 30, generator=seeded()) * 0.8 + 0.1
    noisy = salt_and_pepper(x, share, seeded(1))
    low = (noisy == x.amin((0, 2, 3), keepdim=True)) & (noisy != x)
    high = (noisy == x.amax((0, 2, 3), keepdim=True)) & (noisy != x)
    error = 5 * (share / 2 / (20 * 30 * 30)) ** 0.5
    for side in (low, high):
        assert torch.equal(side[:, 0], side[:, 1])  # a pixel, not a channel, is hit (the draw of a minimum aside)
        assert abs(side.float().mean().item() - share / 2) < error
    assert torch.equal(noisy[~low & ~high], x[~low & ~high])


def test_gaussian_noise_has_its_standard_deviation() -> None:
    x = torch.rand(20, 1, 30, 30, generator=seeded())
    noise = gaussian(x, 0.4, seeded(1)) - x
    assert abs(noise.std().item() - 0.4) < 5 * 0.4 / (2 * noise.numel()) ** 0.5
    assert abs(noise.mean().item()) < 5 * 0.4 / noise.numel() ** 0.5


@pytest.mark.parametrize("noise", [salt_and_pepper, gaussian])
def test_noise_of_level_0_changes_nothing_and_the_generator_decides(noise: Callable) -> None:
    x = torch.rand(4, 1, 6, 6, generator=seeded())
    before = x.clone()
    assert torch.equal(noise(x, 0.0, seeded(1)), x)
    assert torch.equal(noise(x, 0.5, seeded(1)), noise(x, 0.5, seeded(1)))
    assert not torch.equal(noise(x, 0.5, seeded(1)), noise(x, 0.5, seeded(2)))
    assert torch.equal(x, before)


# Completeness


@pytest.mark.parametrize("name", ["images", "regression"])
def test_exact_attributions_have_no_completeness_error(name: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    model, (x, y) = linear(data), (data.test.x, data.test.y)
    weight = model[1].weight[y if data.output == "classes" else torch.zeros(len(y), dtype=torch.int64)]
    phi = (weight.reshape(x.shape) * (x - data.train.x.mean(0))).detach()
    assert completeness_error(model, x, y, phi, data.train.x) < 1e-5
    assert completeness_error(model, x, y, 0 * phi, data.train.x) == pytest.approx(1)
    assert completeness_error(model, x, y, 1.5 * phi, data.train.x) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("estimator", ["independent", "controlled"])
def test_attributions_made_complete_have_no_completeness_error(estimator: str, images: Dataset) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y, errors = images.test.x, images.test.y, []
    for complete in (False, True):
        explain = ExpectedGradients(images.train.x, 5, seeded(), estimator=estimator, complete=complete)
        with torch.no_grad():
            errors.append(completeness_error(model, x, y, explain(model, x, y), images.train.x))
    assert errors[0] > 1e-3
    assert errors[1] < 1e-5


def test_more_references_leave_a_smaller_completeness_error(images: Dataset) -> None:
    torch.manual_seed(0)
    model, (x, y) = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3)),
        (
            images.test.x,
            images.test.y,
        ),
    )
    errors = []
    with torch.no_grad():
        for k in (1, 30, 900):
            phi = ExpectedGradients(images.train.x, k, seeded())(model, x, y)
            errors.append(completeness_error(model, x, y, phi, images.train.x))
    assert all(later < earlier / 2 for earlier, later in pairwise(errors))


def test_a_constant_score_has_no_scale_to_divide_by(regression: Dataset) -> None:
    model, phi = lambda_module(lambda x: torch.ones(len(x), 1)), torch.full((10, 5), 0.1)
    assert completeness_error(model, regression.test.x, regression.test.y, phi, regression.train.x) == pytest.approx(
        0.5
    )


# The whole evaluation


class Ruler:
    """An attribution that remembers what it explained."""

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        assert not torch.is_grad_enabled()
        self.x, self.y = x, y
        self.phi = Gradient()(model, x, y)
        return self.phi


def evaluated(
    data: Dataset, explained: int = 4, noise: dict | None = None
) -> tuple[dict[str, float], dict[str, np.ndarray], Ruler]:
    torch.manual_seed(0)
    ruler = Ruler()
    rows, arrays = Evaluation(noise or {}, explained, seeded())(linear(data), data, ruler)
    assert len(rows) == len({metric for metric, _ in rows})
    assert all(better(metric) and np.isfinite(value) for metric, value in rows)
    return dict(rows), arrays, ruler


def test_what_is_measured_of_images(images: Dataset) -> None:
    noise = {"salt_and_pepper": [0, 0.25], "gaussian": [0.0, 5]}
    rows, arrays, ruler = evaluated(images, noise=noise)
    noises = {
        "accuracy/salt_and_pepper=0",
        "accuracy/salt_and_pepper=0.25",
        "accuracy/gaussian=0",
        "accuracy/gaussian=5",
    }
    attributions = {"gini", "total_variation", "completeness_error"}
    assert set(rows) == {"validation_accuracy", "accuracy", "log_loss"} | noises | attributions
    assert rows["accuracy/salt_and_pepper=0"] == rows["accuracy/gaussian=0"] == rows["accuracy"]
    assert rows["total_variation"] == pytest.approx(float(total_variation(ruler.phi, images)))
    assert set(arrays) == {"image", "phi", "class", "noisy", "level", "predicted", "noisy_class"}
    assert list(arrays["class"]) == [str(int(c)) for c in ruler.y.unique()]
    assert arrays["image"].shape == arrays["phi"].shape == (len(ruler.y.unique()), 1, 8, 8)
    brightest = arrays["image"].mean((1, 3)).argmax(1)
    assert list(brightest) == [3 * c for c in ruler.y.unique()]  # one of each class, in order


def test_one_image_is_kept_under_every_noise_with_its_predicted_classes(images: Dataset) -> None:
    torch.manual_seed(0)
    model, named = linear(images), replace(images, classes=("top", "middle", "low"))
    _, arrays = Evaluation({"salt_and_pepper": [0.5], "gaussian": [0.0, 5]}, 4, seeded())(model, named, Ruler())
    assert list(arrays["level"]) == ["", "salt_and_pepper=0.5", "gaussian=0", "gaussian=5"]
    assert arrays["noisy_class"] == named.classes[images.test.y[0]]
    pictures = torch.from_numpy(arrays["noisy"])
    assert torch.equal(pictures[[0, 2]], images.test.x[[0, 0]])
    changed = (pictures != images.test.x[0]).flatten(1).double().mean(1)
    assert changed[1].item() == pytest.approx(0.5, abs=0.2)
    assert changed[3] == 1
    assert list(arrays["predicted"]) == [named.classes[i] for i in scores_of(model, pictures).argmax(1)]


def test_of_many_classes_an_answer_among_the_first_five_counts_as_well() -> None:
    scores = torch.arange(11.0, 0, -1).repeat(4, 1)  # the first class is the first answer, the fifth the fifth
    rows = dict(performance(scores, split([0, 4, 5, 10], kind=torch.int64), "classes"))
    assert (rows["accuracy"], rows["top_5_accuracy"]) == (0.25, 0.5)
    assert "top_5_accuracy" not in dict(performance(scores[:, :10], split([0, 4, 5, 9], kind=torch.int64), "classes"))


def test_choosing_measures_the_validation_rows_and_leaves_the_test_rows_unread(images: Dataset) -> None:
    unread = replace(images, test=replace(images.test, x=torch.zeros_like(images.test.x)))
    swapped = replace(images, test=images.val, val=images.test)
    found, expected = [], []
    for data, part, rows in ((unread, "val", found), (swapped, "test", expected)):
        torch.manual_seed(0)
        rows += Evaluation({"gaussian": [0.1]}, 4, seeded(), part)(linear(images), data, Ruler())[0]
    assert found == [(f"validation_{metric}", value) for metric, value in expected[1:]]
    assert all(better(metric) for metric, _ in found)
    with pytest.raises(ValueError, match=r"^evaluate\.part is test or val; found 'train'$"):
        Evaluation({}, 4, seeded(), "train")  # type: ignore[arg-type]


def test_what_is_measured_of_a_table_with_a_graph(regression: Dataset) -> None:
    rows, arrays, ruler = evaluated(regression)
    performances = {"validation_r2", "r2", "mean_squared_error", "r2_within_drug"}
    performances |= {"correlation_within_drug", "spearman_within_drug"}
    assert set(rows) == performances | {"gini", "graph_variation", "completeness_error"}
    assert rows["graph_variation"] == pytest.approx(float(graph_variation(ruler.phi, regression)))
    assert rows["gini"] == pytest.approx(-float(gini(ruler.phi, regression)))
    assert list(arrays["features"]) == list(regression.features)
    np.testing.assert_allclose(arrays["importance"], ruler.phi.abs().mean(0))


def test_the_variation_is_that_of_the_own_graph_whatever_was_trained_on(regression: Dataset) -> None:
    control = Graph(torch.tensor([[2], [4]]), torch.tensor([7.0]))
    rows, _, ruler = evaluated(replace(regression, graph=control, own_graph=regression.graph))
    assert rows["graph_variation"] == pytest.approx(float(graph_variation(ruler.phi, regression)))


@pytest.mark.parametrize("k", [5, 20])
def test_the_standard_error_of_expected_gradients_is_a_share_of_the_mean_attribution(
    k: int, regression: Dataset
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    rows, _ = Evaluation({}, 99, seeded())(model, regression, ExpectedGradients(regression.train.x, k, seeded(1)))
    x = regression.test.x
    with torch.no_grad():
        phis = torch.stack([ExpectedGradients(regression.train.x, k, seeded(i))(model, x) for i in range(100)])
    assert dict(rows)["standard_error"] == pytest.approx(float(phis.std(0).mean() / phis.abs().mean()), rel=0.15)
    assert better("standard_error") == "lower"


def test_an_attribution_without_draws_has_no_standard_error(regression: Dataset) -> None:
    rows, _ = Evaluation({}, 4, seeded())(linear(regression), regression, Gradient())
    assert "standard_error" not in dict(rows)


def test_known_causes_are_looked_for_among_the_attributions(binary: Dataset) -> None:
    model, ruler = linear(binary), Ruler()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[5.0, -3.0, 4.0, 1.0, 0.0, 0.0]]))
    rows = dict(Evaluation({}, 4, seeded())(model, binary, ruler)[0])
    assert rows["truth_average_precision"] == pytest.approx((1 / 1 + 2 / 3) / 2)  # causes rank first and third


def test_no_more_than_the_given_number_of_test_rows_is_explained(images: Dataset) -> None:
    for explained, found in ((4, 4), (99, len(images.test))):
        _, _, ruler = evaluated(images, explained)
        assert len(ruler.x) == found
        row = torch.cdist(ruler.x.flatten(1), images.test.x.flatten(1)).min(1)
        assert (row.values == 0).all()
        assert len(row.indices.unique()) == found
        assert torch.equal(images.test.y[row.indices], ruler.y)


def test_the_same_seed_explains_the_same_rows_whatever_noise_is_asked_for(images: Dataset) -> None:
    one, other = evaluated(images)[2], evaluated(images, noise={"gaussian": [0.5]})[2]
    assert torch.equal(one.x, other.x)


@pytest.mark.parametrize("explained", [0, -1, 2.5])
def test_a_number_of_explained_rows_below_1_is_refused(explained: float) -> None:
    with pytest.raises(ValueError, match=f"evaluate.explained is a whole number, 1 or more; found {explained}"):
        Evaluation({}, explained, seeded())  # type: ignore[arg-type]


def test_unknown_noise_is_refused_before_any_training() -> None:
    with pytest.raises(ValueError, match=r"evaluate\.noise is of salt_and_pepper, gaussian; found pepper"):
        Evaluation({"pepper": [0.1]}, 4, seeded())
