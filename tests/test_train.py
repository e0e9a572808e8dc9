import copy
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR

from attrpriors.attribution import ExpectedGradients
from attrpriors.data import Dataset
from attrpriors.evaluate import validation_score
from attrpriors.model import cnn, mlp
from attrpriors.prior import (
    AttributionPrior,
    NoPrior,
    Penalty,
    Prior,
    gini,
    graph_variation,
    l1_attribution,
    l2_attribution,
    total_variation,
)
from attrpriors.train import Trainer, task_loss


def trainer(**changes: object) -> Trainer:
    """Three epochs of Adam on batches of 6: the last of 20 rows is partial."""
    settings = {"epochs": 3, "batch_size": 6, "optimizer": partial(Adam, lr=0.01), "generator": seeded(5)}
    return Trainer(**settings | changes)  # type: ignore[arg-type]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def through(penalty: Penalty, weight: float, data: Dataset) -> AttributionPrior:
    return AttributionPrior(weight, penalty, ExpectedGradients(data.train.x, 2, seeded(6)), data)


def trained(
    data: Dataset, prior: Prior, build: Callable[[Dataset], nn.Module] | None = None, **changes: object
) -> tuple[dict[str, Tensor], pd.DataFrame]:
    """The weights after training a network with dropout (and BatchNorm for images), and the history without clock."""
    torch.manual_seed(7)
    usual = partial(cnn, channels=[3], hidden=8) if len(data.shape) == 3 else partial(mlp, hidden=[8], dropout=0.3)
    model = (build or usual)(data)
    history = trainer(**changes).fit(model, data, prior)
    return model.state_dict(), history.drop(columns="seconds")


def hard_to_validate(data: Dataset) -> Dataset:
    """The data set with the outcomes of its validation rows moved on by one: the best epoch is not the last."""
    return replace(data, val=replace(data.val, y=data.val.y.roll(1)))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


class Watcher:
    """A prior that costs nothing (or what it is told to) and remembers what it was shown."""

    weight = 1.0

    def __init__(self, costs: dict[int, float] | None = None) -> None:
        self.costs, self.shown, self.first = costs or {}, [], None

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        self.first = self.first or copy.deepcopy(dict(model.named_parameters()))
        self.shown.append(x)
        return torch.tensor(self.costs.get(len(self.shown), 0.0))


@pytest.fixture(params=["binary", "regression", "images"])
def data(request: pytest.FixtureRequest) -> Dataset:
    return request.getfixturevalue(request.param)


# Paired and repeated runs


@pytest.mark.parametrize("finetune", [0, 2])
@pytest.mark.parametrize("penalty", [gini, l1_attribution, l2_attribution])
def test_weight_0_gives_the_bits_of_no_prior(penalty: Penalty, data: Dataset, finetune: int) -> None:
    plain, plain_history = trained(data, NoPrior(), finetune=finetune)
    zero, zero_history = trained(data, through(penalty, 0.0, data), finetune=finetune)
    assert same(plain, zero)
    assert plain_history.drop(columns="penalty").equals(zero_history.drop(columns="penalty"))


def test_weight_0_of_the_family_penalties_gives_the_bits_of_no_prior(images: Dataset, regression: Dataset) -> None:
    for penalty, data in ((total_variation, images), (graph_variation, regression)):
        assert same(trained(data, NoPrior())[0], trained(data, through(penalty, 0.0, data))[0])
        assert not same(trained(data, NoPrior())[0], trained(data, through(penalty, 0.1, data))[0])


def test_the_same_seeds_give_the_same_bytes_twice(data: Dataset) -> None:
    one, again = (trained(data, through(gini, 0.5, data)) for _ in range(2))
    assert same(one[0], again[0])
    assert one[1].equals(again[1])


def test_the_generator_orders_the_batches(binary: Dataset) -> None:
    assert not same(trained(binary, NoPrior())[0], trained(binary, NoPrior(), generator=seeded(8))[0])


# The objective


@pytest.mark.parametrize(
    ("penalty", "name", "weight"),
    [
        (gini, "binary", 3.0),
        (l1_attribution, "binary", 10.0),
        (l2_attribution, "regression", 1.0),
        (graph_variation, "regression", 30.0),
        (total_variation, "images", 0.03),
    ],
)
def test_a_prior_lowers_its_penalty(penalty: Penalty, name: str, weight: float, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    without, against = (trained(data, through(penalty, w, data), epochs=30)[1] for w in (0.0, weight))
    assert without.penalty[0] == pytest.approx(against.penalty[0], rel=0.3)  # they start together
    spread = abs(without.penalty.iloc[-5:]).mean()
    assert against.penalty.iloc[-5:].mean() < without.penalty.iloc[-5:].mean() - 0.1 * spread


def test_the_loss_of_the_history_is_that_of_the_task_alone(data: Dataset) -> None:
    plain, weighted = (trained(data, prior, epochs=1, batch_size=None)[1] for prior in (NoPrior(), Watcher({1: 5.0})))
    assert plain.loss[0] == weighted.loss[0] > 0
    assert weighted.penalty[0] == 5


def test_the_task_losses_by_hand() -> None:
    two, three = torch.tensor([[0.0], [math.log(3)]]), torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    mean = (math.log(2) - math.log(0.75)) / 2
    assert task_loss(three, torch.tensor([0, 1]), "classes").item() == pytest.approx(mean)
    for scores in (two, two[:, 0]):
        assert task_loss(scores, torch.tensor([0.0, 1.0]), "binary").item() == pytest.approx(mean)
        assert task_loss(scores, torch.tensor([2.0, 0.0]), "regression").item() == pytest.approx(
            (4 + math.log(3) ** 2) / 2
        )


# Epochs and batches


def test_an_epoch_shows_every_row_once_in_batches_of_the_given_size(binary: Dataset) -> None:
    watcher = Watcher()
    trained(binary, watcher, epochs=2)
    assert [len(x) for x in watcher.shown] == [6, 6, 2] * 2
    epochs = [torch.cat(watcher.shown[i : i + 3]) for i in (0, 3)]
    assert not torch.equal(*epochs)
    assert all(torch.equal(rows.sort(0).values, binary.train.x.sort(0).values) for rows in epochs)


def test_without_a_batch_size_a_step_takes_the_whole_training_set(binary: Dataset) -> None:
    watcher = Watcher()
    assert same(trained(binary, watcher, batch_size=None)[0], trained(binary, NoPrior(), batch_size=14)[0])
    assert [len(x) for x in watcher.shown] == [14] * 3


@pytest.mark.parametrize("finetune", [0, 9])
def test_the_model_ends_with_the_weights_of_its_best_validation_epoch(data: Dataset, finetune: int) -> None:
    torch.manual_seed(3)
    model, data = mlp(data, hidden=[8]), hard_to_validate(data)
    history = trainer(epochs=9, finetune=finetune, optimizer=partial(SGD, lr=0.05)).fit(model, data, NoPrior())
    last = history[history.phase == "prior"]
    name, value = validation_score(model, data)
    best = last[f"validation_{name}"]
    assert value == best.max()
    assert best.iloc[-1] < best.max()  # it was not simply the last


def test_the_schedule_steps_once_an_epoch(binary: Dataset) -> None:
    made: list[Adam] = []

    def optimizer(parameters: object) -> Adam:
        made.append(Adam(parameters, lr=0.01))  # type: ignore[arg-type]
        return made[-1]

    trained(binary, NoPrior(), optimizer=optimizer, schedule=partial(ExponentialLR, gamma=0.5))
    assert made[0].param_groups[0]["lr"] == pytest.approx(0.01 / 8)


def test_the_history_has_a_row_for_every_epoch(data: Dataset) -> None:
    _, history = trained(data, NoPrior(), finetune=2)
    assert list(history.epoch) == [1, 2, 3, 4, 5]
    assert list(history.phase) == ["plain"] * 3 + ["prior"] * 2
    chosen = {"classes": "accuracy", "binary": "roc_auc", "regression": "r2"}[data.output]
    assert set(history.columns) == {"epoch", "phase", "loss", "penalty", f"validation_{chosen}"}


# Fine-tuning


def test_fine_tuning_starts_with_plain_training(data: Dataset) -> None:
    _, plain = trained(data, NoPrior())
    _, tuned = trained(data, through(gini, 5.0, data), finetune=2)
    assert tuned[:3].drop(columns="phase").equals(plain.drop(columns="phase"))
    assert (tuned.penalty[:3] == 0).all()
    assert (tuned.penalty[3:] != 0).all()


def test_fine_tuning_starts_from_the_best_plain_weights(data: Dataset) -> None:
    build, sgd, data = partial(mlp, hidden=[8]), partial(SGD, lr=0.05), hard_to_validate(data)
    plain, _ = trained(data, NoPrior(), build, epochs=9, optimizer=sgd)
    watcher = Watcher()
    trained(data, watcher, build, epochs=9, optimizer=sgd, finetune=1)
    assert watcher.first is not None
    assert same(watcher.first, plain)
    assert len(watcher.shown) == math.ceil(len(data.train) / 6)  # one epoch


# Bad input


@pytest.mark.parametrize("cost", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_with_a_sentence(cost: float, binary: Dataset) -> None:
    watcher = Watcher({5: cost})  # three steps an epoch
    with pytest.raises(FloatingPointError, match=rf"not finite at epoch 2, step 2: task .*, penalty {cost}, weight 1"):
        trained(binary, watcher)


def test_a_diverging_task_stops_the_run_with_a_sentence(regression: Dataset) -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        trained(regression, NoPrior(), optimizer=partial(SGD, lr=1e20), epochs=9)


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_sizes_that_are_no_whole_number_of_1_or_more_are_refused(value: object) -> None:
    for name in ("epochs", "batch_size"):
        with pytest.raises(ValueError, match=f"train.{name} is a whole number, 1 or more; found {value!r}"):
            trainer(**{name: value})


@pytest.mark.parametrize("value", [-1, 0.5, None])
def test_a_number_of_fine_tuning_epochs_is_0_or_more(value: object) -> None:
    with pytest.raises(ValueError, match=f"train.finetune is a whole number, 0 or more; found {value!r}"):
        trainer(finetune=value)


def test_epochs_must_be_given() -> None:
    with pytest.raises(ValueError, match=r"train\.epochs is a whole number, 1 or more; found None"):
        trainer(epochs=None)


def test_nothing_is_printed_where_there_is_no_terminal(binary: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    trained(binary, NoPrior(), finetune=1)
    assert capfd.readouterr() == ("", "")


def test_statistics_taken_anew_are_those_of_the_named_rows_under_the_weights_of_the_epoch(images: Dataset) -> None:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3))
    trainer(statistics=12).fit(model, images, NoPrior())
    with torch.no_grad():
        seen = model[0](images.train.x[:12])  # two batches of 6: the mean over batches is the mean over rows
    torch.testing.assert_close(model[1].running_mean, seen.mean((0, 2, 3)))
    batches = torch.stack([batch.var((0, 2, 3)) for batch in seen.split(6)])
    torch.testing.assert_close(model[1].running_var, batches.mean(0))
    assert trained(images, NoPrior())[1].equals(trained(images, NoPrior(), statistics=0)[1])
