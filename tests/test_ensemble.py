"""A member of an ensemble is the run that it would be alone."""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from command import NARROW, SMALL, command
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.parametrizations import weight_norm
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR

from attrpriors import figure
from attrpriors import table as table_room
from attrpriors.attribution import (
    Attribution,
    ExpectedGradients,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    OnScale,
    Random,
    SmoothGrad,
)
from attrpriors.data import Dataset, Provenance, Split
from attrpriors.model import linear, mlp
from attrpriors.prior import (
    AttributionPrior,
    NoPrior,
    Penalty,
    Prior,
    WeightPenalty,
    WeightPrior,
    gini,
    gini_l1,
    graph_variation,
    irrelevant_attribution,
    l1_attribution,
    l1_weights,
    l2_attribution,
    l2_weights,
    sparse_group_lasso,
    total_variation,
)
from attrpriors.record import Outcome
from attrpriors.record.members import _merge, spread
from attrpriors.record.setting import folder_name
from attrpriors.table.runs import COST
from attrpriors.train import Ensemble, Trainer
from attrpriors.train import ensemble as room
from attrpriors.train.stack import StackedDropout, stack, unstack

Explain = Callable[[Dataset, torch.Generator], Attribution]
Result = pd.DataFrame | FloatingPointError


class Member(NamedTuple):
    """What a member brings, and the state of the global generator that draws its dropout."""

    model: nn.Module
    data: Dataset
    prior: Prior
    order: torch.Generator
    state: Tensor


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dealt(data: Dataset, seed: int, dtype: torch.dtype) -> Dataset:
    """The data set with its rows dealt anew."""
    sizes = [len(part) for part in data.parts.values()]
    order = torch.randperm(sum(sizes), generator=seeded(seed))

    def column(name: str) -> Sequence[Tensor | None]:
        values = [getattr(part, name) for part in data.parts.values()]
        if values[0] is None:
            return [None] * len(values)
        values = torch.cat(values)[order]
        return (values.to(dtype) if values.is_floating_point() else values).split(sizes)

    units = [rows.numpy() for rows in order.split(sizes)]
    train, val, test = map(Split, column("x"), column("y"), units, column("offset"))  # type: ignore[arg-type]
    return replace(data, train=train, val=val, test=test)


def references(k: int = 1, **settings: object) -> Explain:
    return lambda data, draws: ExpectedGradients(data.train.x, k, draws, **settings)  # type: ignore[arg-type]


single = references()
narrow = partial(mlp, hidden=[8, 5])
dropping = partial(mlp, hidden=[8, 5], dropout=0.3)


def members(
    data: Dataset,
    penalty: Penalty | WeightPenalty | None = gini,
    explain: Explain = single,
    network: Callable[[Dataset], nn.Module] = narrow,
    weights: Sequence[float] = (0.1, 0.7, 2.0),
    dtype: torch.dtype = torch.float64,
    layers: str = "",
) -> list[Member]:
    """A member a weight, each with its own split, initial weights and draws; the same ones every time."""
    found = []
    for seed, weight in enumerate(weights):
        own = dealt(data, seed, dtype)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model, state = network(own).to(dtype), torch.get_rng_state()
        prior: Prior = NoPrior()
        if layers:
            prior = WeightPrior(weight, penalty, layers)  # type: ignore[arg-type]
        elif penalty:
            prior = AttributionPrior(weight, penalty, explain(own, seeded(10 + seed)), own)  # type: ignore[arg-type]
        found.append(Member(model, own, prior, seeded(20 + seed), state))
    return found


SETTINGS = {"epochs": 10, "batch_size": 10, "optimizer": partial(Adam, lr=0.01)}


def alone(given: list[Member], **settings: object) -> list[Result]:
    """Train each by itself, in place."""
    results: list[Result] = []
    for model, data, prior, order, state in given:
        trainer = Trainer(**SETTINGS | settings, generator=order)  # type: ignore[arg-type]
        with torch.random.fork_rng():
            torch.set_rng_state(state)
            try:
                results.append(trainer.fit(model, data, prior))
            except FloatingPointError as error:
                results.append(error)
    return results


def together(given: list[Member], **settings: object) -> list[Result]:
    """Train them all as an ensemble, in place."""
    trainer = Ensemble(**SETTINGS | settings, generator=seeded(0))  # type: ignore[arg-type]
    models, datas, priors, orders, states = (list(column) for column in zip(*given, strict=True))
    return trainer.fit_members(models, datas, priors, orders, states)


def distance(one: Member, other: Member) -> float:
    """The largest relative difference of a parameter, by its Euclidean norm."""
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return max(float((a - b).detach().norm() / b.detach().norm()) for a, b in pairs)


def chosen(history: Result) -> tuple[int, float]:
    """The best epoch of the last phase and its validation score."""
    assert isinstance(history, pd.DataFrame)
    last = history[history["phase"] == "prior"].set_index("epoch")
    score = last[next(column for column in last if column.startswith("validation_"))]
    return int(score.idxmax()), float(score.max())


def assert_alike(ours: Result, theirs: Result) -> None:
    assert isinstance(ours, pd.DataFrame)
    assert isinstance(theirs, pd.DataFrame)
    one, other = (history.drop(columns="seconds") for history in (ours, theirs))
    pd.testing.assert_frame_equal(one, other, rtol=1e-6, atol=1e-6)


# A member equals the single run

# data set, what the members bring, how they are trained
CASES: dict[str, tuple[str, dict, dict]] = {
    "no prior": ("binary", {"penalty": None}, {}),
    "gini": ("binary", {}, {}),
    "l1": ("regression", {"penalty": l1_attribution}, {}),
    "l2": ("images", {"penalty": l2_attribution}, {}),
    "graph": ("regression", {"penalty": graph_variation}, {}),
    "gini and l1": ("binary", {"penalty": gini_l1}, {}),
    "l1 of all weights": ("binary", {"penalty": l1_weights, "layers": "all"}, {}),
    "l2 of the first weights": ("images", {"penalty": l2_weights, "layers": "first"}, {}),
    "sparse group lasso": ("regression", {"penalty": sparse_group_lasso, "layers": "all"}, {"finetune": 3}),
    "total variation": ("images", {"penalty": total_variation}, {}),
    "irrelevant features": ("binary", {"penalty": irrelevant_attribution}, {}),
    "independent, linear, whole training set": (
        "images",
        {"explain": references(3), "network": linear},
        {"batch_size": None},
    ),
    "controlled, dropout, then the prior": (
        "binary",
        {"explain": references(4, estimator="controlled"), "network": dropping},
        {"finetune": 3},
    ),
    "gradient, momentum, schedule": (
        "images",
        {"explain": lambda data, draws: Gradient()},
        {"optimizer": partial(SGD, lr=0.05, momentum=0.9), "schedule": partial(ExponentialLR, gamma=0.8)},
    ),
    "input x gradient": ("regression", {"explain": lambda data, draws: InputXGradient()}, {}),
    "integrated gradients": ("binary", {"explain": lambda data, draws: IntegratedGradients(0.1, 5)}, {}),
    "of the log-probabilities": (
        "binary",
        {"explain": lambda data, draws: OnScale("log_probabilities", Gradient, draws)},
        {},
    ),
    "of the probability": (
        "images",
        {"explain": lambda data, draws: OnScale("probability", partial(ExpectedGradients, data.train.x, 2), draws)},
        {},
    ),
}


@pytest.mark.parametrize(("name", "given", "settings"), CASES.values(), ids=CASES)
def test_a_member_is_the_single_run_of_its_seed_and_draws(
    name: str, given: dict, settings: dict, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(name)
    before, ours, theirs = (members(data, **given, weights=(0.1, 2.0)) for _ in range(3))
    histories = zip(together(ours, **settings), alone(theirs, **settings), strict=True)
    for one, other in histories:
        assert_alike(one, other)
    assert max(map(distance, ours, theirs)) < 1e-10
    assert min(map(distance, ours, before)) > 1e-3  # they were trained


@pytest.mark.parametrize("name", ["binary", "regression", "images"])
def test_a_member_in_single_precision_is_the_single_run_to_1e_5_after_10_epochs(
    name: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(name)
    ours, theirs = (members(data, weights=(0.1, 2.0), dtype=torch.float32) for _ in range(2))
    together(ours)
    alone(theirs)
    assert max(map(distance, ours, theirs)) < 1e-5


@pytest.mark.parametrize(
    ("dtype", "parameters", "score"), [(torch.float64, 1e-9, 0.0), (torch.float32, 1e-3, 0.03)], ids=str
)
def test_after_100_epochs_a_member_has_the_best_epoch_and_score_of_the_single_run(
    dtype: torch.dtype, parameters: float, score: float, binary: Dataset
) -> None:
    # in single precision rounding grows over the epochs: a pair of validation rows, of 42, may change its order
    ours, theirs = (members(binary, weights=(0.1, 2.0), dtype=dtype) for _ in range(2))
    settings = {"epochs": 100, "batch_size": None}
    pairs = list(zip(map(chosen, together(ours, **settings)), map(chosen, alone(theirs, **settings)), strict=True))
    assert max(map(distance, ours, theirs)) < parameters
    assert all(abs(one[1] - other[1]) <= score for one, other in pairs)
    if dtype == torch.float64:
        assert [one[0] for one, _ in pairs] == [other[0] for _, other in pairs]
        assert len({one[0] for one, _ in pairs}) > 1  # each has its own


def test_what_is_watched_is_of_each_member_as_if_it_were_alone(binary: Dataset) -> None:
    def watch(model: nn.Module, data: Dataset) -> dict[str, float]:
        return {"first": float(next(model.parameters()).detach().norm()), "row": float(data.train.x[0, 0])}

    settings = {"epochs": 2, "watch": watch}
    for one, other in zip(together(members(binary), **settings), alone(members(binary), **settings), strict=True):
        assert {"first", "row"} < set(one)
        assert_alike(one, other)


def test_no_more_than_so_many_members_are_trained_at_once(binary: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(room, "stack", lambda models, states: sizes.append(len(models)) or stack(models, states))
    parts, whole = members(binary, network=dropping), members(binary, network=dropping)
    histories = zip(together(parts, members=2, epochs=3), together(whole, members=3, epochs=3), strict=True)
    assert sizes == [2, 1, 3]
    for one, other in histories:
        assert_alike(one, other)
    assert max(map(distance, parts, whole)) < 1e-10


def test_the_global_generator_is_given_back_as_it_was(binary: Dataset) -> None:
    before = torch.get_rng_state()
    together(members(binary, network=dropping), epochs=2)
    assert torch.equal(before, torch.get_rng_state())


# A lost member


class Breaks:
    """l1_attribution, but not a number from the given call on; the first call is the prior's trial."""

    def __init__(self, calls: int) -> None:
        self.left = calls + 1

    def __call__(self, phi: Tensor, data: Dataset) -> Tensor:
        self.left -= 1
        return l1_attribution(phi) * (1 if self.left > 0 else float("nan"))


@pytest.mark.parametrize("finetune", [0, 6])
def test_a_lost_member_is_told_as_alone_and_leaves_the_others_untouched(finetune: int, binary: Dataset) -> None:
    def given() -> list[Member]:
        found = members(binary, l1_attribution, network=dropping, weights=(0.1, 0.7, 2.0, 0.3))
        for member, calls in ((0, 3), (2, 9)):  # two steps an epoch
            found[member].prior.penalty = Breaks(calls)  # type: ignore[attr-defined]
        return found

    settings = {"epochs": 6, "finetune": finetune}
    ours, theirs = given(), given()
    results, expected = together(ours, **settings), alone(theirs, **settings)
    for member, place in ((0, "epoch 2, step 2"), (2, "epoch 5, step 2")):
        assert str(results[member]) == str(expected[member])
        assert f"not finite at {place}: task " in str(results[member])
    others = [member for i, member in enumerate(given()) if i % 2]
    for i, history in zip((1, 3), together(others, **settings), strict=True):
        assert_alike(results[i], history)
    assert max(map(distance, ours[1::2], others)) < 1e-12
    assert max(map(distance, ours[1::2], theirs[1::2])) < 1e-10


def test_a_member_whose_validation_scores_overflow_is_lost_alone(binary: Dataset) -> None:
    def given() -> list[Member]:
        found = members(binary, network=linear)
        own = found[1].data
        x = own.val.x.clone()
        x[0, 0] = 1e308
        found[1] = found[1]._replace(data=replace(own, val=replace(own.val, x=x)))
        with torch.no_grad():
            found[1].model[1].weight[0, 0] = 1e3  # type: ignore[index]
        return found

    results, (_, expected, _) = together(given(), epochs=2), alone(given(), epochs=2)
    assert str(results[1]) == str(expected) == "the model's validation scores are not finite"
    assert [len(results[i]) for i in (0, 2)] == [2, 2]  # type: ignore[arg-type]


# What an ensemble cannot do is told in a sentence


class Own(nn.Linear):
    """A layer made of a linear one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.square(), self.bias)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LayerNorm(5),
        nn.BatchNorm1d(5),
        nn.BatchNorm1d(5, affine=False, track_running_stats=False),
        nn.AlphaDropout(0.1),
        nn.RReLU(),
        nn.Bilinear(5, 5, 5),
        weight_norm(nn.Linear(5, 5)),
        Own(5, 5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_cannot_be_stacked_is_refused_by_its_name(layer: nn.Module) -> None:
    models = [nn.Sequential(nn.Linear(5, 5), nn.Sequential(copy.deepcopy(layer), nn.ReLU())) for _ in range(2)]
    found = type(layer).__name__
    with pytest.raises(ValueError, match=f"^train=ensemble trains networks of linear layers; found {found}$"):
        stack(models, [torch.get_rng_state()] * 2)


def test_layers_that_share_their_weights_are_refused() -> None:
    layer, other = nn.Linear(5, 5), nn.Linear(5, 5)
    other.weight = layer.weight
    for model in (nn.Sequential(layer, nn.ReLU(), layer), nn.Sequential(layer, other)):
        with pytest.raises(ValueError, match=r"^train=ensemble trains networks whose layers share no weights; some"):
            stack([model, copy.deepcopy(model)], [])


def test_members_of_unequal_size_are_refused(binary: Dataset) -> None:
    given = members(binary, penalty=None)
    data = given[1].data
    given[1] = given[1]._replace(data=replace(data, train=replace(data.train, x=data.train.x[1:], y=data.train.y[1:])))
    with pytest.raises(ValueError, match=r"^members have equally many training and validation rows; found \[.*13, 13"):
        together(given)


@pytest.mark.parametrize(
    ("explain", "sentence"),
    [
        (lambda data, draws: SmoothGrad(2, 0.1, draws), "without draws, or expected_gradients; found SmoothGrad$"),
        (lambda data, draws: Random(draws), "without draws, or expected_gradients; found Random$"),
        (lambda data, draws: OnScale("probability", partial(SmoothGrad, 2, 0.1), draws), "found SmoothGrad$"),
        (
            lambda data, draws: IntegratedGradients("mean", background=data.train.x),
            "integrated_gradients of one baseline for all members$",
        ),
    ],
    ids=["smoothgrad", "random", "smoothgrad of the probability", "a baseline of each member's own"],
)
def test_an_attribution_that_members_cannot_share_is_refused(explain: Explain, sentence: str, binary: Dataset) -> None:
    given = members(binary, penalty=None)
    given = [member._replace(prior=Penalised(explain(member.data, seeded(0)))) for member in given]
    with pytest.raises(ValueError, match=f"^train=ensemble trains through .*{sentence}"):
        together(given)


class Penalised(AttributionPrior):
    """A prior whose attribution was not tried."""

    def __init__(self, attribution: Attribution) -> None:
        self.weight, self.attribution = 1.0, attribution


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_a_number_of_members_is_1_or_more(value: object) -> None:
    with pytest.raises(ValueError, match=f"train.members is a whole number, 1 or more; found {value!r}"):
        Ensemble(**SETTINGS, generator=seeded(0), members=value)  # type: ignore[arg-type]


# The stack


def nets(*layers: Callable[[], nn.Module]) -> list[nn.Module]:
    torch.manual_seed(3)
    return [nn.Sequential(*(layer() for layer in layers)) for _ in range(3)]


def test_a_stack_gives_every_member_its_own_scores_and_its_weights_back() -> None:
    models = nets(
        partial(nn.Flatten),
        partial(nn.Linear, 6, 4, bias=False),
        partial(nn.ReLU),
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()),
        partial(nn.Linear, 3, 2),
    )
    whole, x = stack(models, [torch.get_rng_state()] * 3), torch.randn(3 * 5, 2, 3)
    scores = [model(part) for model, part in zip(models, x.split(5), strict=True)]
    torch.testing.assert_close(whole(x), torch.cat(scores))
    before = [copy.deepcopy(model.state_dict()) for model in models]
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter += torch.arange(3.0).reshape(3, *[1] * (parameter.ndim - 1))
    assert all(torch.equal(model[1].weight, kept["1.weight"]) for model, kept in zip(models, before, strict=True))
    unstack(whole, models)
    for member, (model, kept) in enumerate(zip(models, before, strict=True)):
        for name, value in model.state_dict().items():
            assert torch.equal(value, kept[name] + member)


def test_dropout_of_a_member_is_drawn_from_its_own_state_layer_by_layer() -> None:
    shared = nn.Dropout(0.4)  # one layer at two places
    models = [nn.Sequential(shared, nn.ReLU(), shared)] * 3
    states = [seeded(seed).get_state() for seed in (1, 2, 1)]
    whole, x = stack(models, states), torch.rand(3 * 40, 7)
    before = torch.get_rng_state()
    dropped = [whole(x), whole(x)]
    assert torch.equal(before, torch.get_rng_state())
    for block, state in zip(range(3), states, strict=True):
        rows = slice(40 * block, 40 * (block + 1))
        with torch.random.fork_rng():
            torch.set_rng_state(state)
            expected = [models[0](x[rows]), models[0](x[rows])]
        assert all(torch.equal(ours[rows], theirs) for ours, theirs in zip(dropped, expected, strict=True))
    assert torch.equal(dropped[0][:40] == 0, dropped[0][80:] == 0)  # equal states
    assert not torch.equal(dropped[0][:40] == 0, dropped[1][:40] == 0)
    assert 0.55 < float((StackedDropout([0.4] * 3, states)(x) == 0).float().mean()) + 0.2 < 0.65
    assert torch.equal(whole.eval()(x), x)


def test_members_differ_in_their_dropout_as_alone(binary: Dataset) -> None:
    def given() -> list[Member]:
        found = members(binary, penalty=None, network=dropping)
        for member, rate in zip(found, (0.1, 0.5, 0.9), strict=True):
            for layer in member.model:  # type: ignore[attr-defined]
                layer.p = rate if isinstance(layer, nn.Dropout) else None
        return found

    ours, theirs = given(), given()
    for one, other in zip(together(ours), alone(theirs), strict=True):
        assert_alike(one, other)
    assert max(map(distance, ours, theirs)) < 1e-10


# From the command line

TINY = [*SMALL["health_simulated"], *NARROW["mlp"], "train.epochs=3", "prior=gini"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep without figures and paired tests, which take most of its time."""
    monkeypatch.setattr(figure, "draw", lambda runs, table: None)
    monkeypatch.setattr(table_room, "compare", lambda runs: pd.DataFrame(columns=["metric"]))


def measured(folder: Path, *arguments: str) -> pd.DataFrame:
    """The table of a sweep, by weight and metric."""
    result = command("-m", *TINY, *arguments, f"results={folder}")
    assert result.status == 0, result.text
    return pd.read_csv(folder / "own" / "table.csv").set_index(["weight", "metric"])


def test_lists_of_seeds_and_strengths_give_the_rows_of_single_runs_and_are_skipped_the_second_time(
    tmp_path: Path, quick: None
) -> None:
    lists = ("train=ensemble", "seed=[0,1]", "prior.weight=[0.1,0.3]")
    table = measured(tmp_path / "ensemble", *lists)
    measured(tmp_path / "single", "seed=0,1", "prior.weight=0.1,0.3")
    one, other = (
        pd.read_csv(tmp_path / name / "own" / "rows.csv.gz")
        .set_index(["seed", "weight", "metric"])["value"]
        .sort_index()
        for name in ("ensemble", "single")
    )
    assert len(one.index.droplevel("metric").unique()) == 4
    pd.testing.assert_series_equal(one, other, rtol=1e-4)
    assert set(table.index.get_level_values("weight")) == {0.1, 0.3}
    table = table.drop(list(COST), level="metric")
    assert (table[["n", "failed"]] == [2, 0]).all(axis=None)
    kept = {name: len(list((tmp_path / name).rglob("weights.safetensors"))) for name in ("ensemble", "single")}
    assert kept == {"ensemble": 0, "single": 4}
    again = command(*TINY, *lists, f"results={tmp_path / 'ensemble'}")
    assert len(re.findall(r": skipped \(finished\)", again.text)) == 1
    assert "finished in" not in again.text


def test_a_lost_member_is_a_failed_run_of_the_table(tmp_path: Path, quick: None) -> None:
    table = measured(tmp_path, "train=ensemble", "seed=[0,1],[2]", "prior.weight=[1e39,0.1]")  # too large for float32
    assert table.loc[(0.1, "roc_auc"), ["n", "failed"]].tolist() == [3, 0]
    assert table.loc[1e39, ["n", "failed"]].values.tolist() == [[0, 3]]
    told = (tmp_path / "own" / "table.md").read_text()
    assert len(re.findall(r"`: seed=[012], weight=1e\+39: the loss is not finite at epoch 1, step 1: task", told)) == 3


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"seed": []}, r"^seed, as a list of members, holds at least one value and none twice; found \[\]$"),
        ({"seed": [0, 1, 0]}, r"^seed, as a list .* none twice; found \[0, 1, 0\]$"),
        ({"seed": 0, "prior": {"weight": [1, 1.0]}}, r"^prior\.weight, as a list .* none twice; found \[1, 1\.0\]$"),
    ],
)
def test_a_list_without_a_value_or_with_one_twice_is_refused(setting: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        spread(OmegaConf.create(setting))


def test_a_list_of_seeds_without_an_ensemble_is_refused_in_a_sentence(tmp_path: Path) -> None:
    result = command(*TINY, "seed=[0,1]", f"results={tmp_path}")
    assert result.status == 1
    sentence = "failed: a list of seeds or weights is 2 members: train=ensemble trains them together"
    assert result.text.count(sentence) == 1
    assert "Traceback" not in result.text


def test_several_lists_of_seeds_as_one_value_are_refused_in_a_sentence(tmp_path: Path) -> None:
    result = command(*TINY, "seed='[0,1],[2,3]'", f"results={tmp_path}")
    assert result.status == 1
    assert "seed is a whole number, 0 or more; found '[0,1],[2,3]'" in result.text
    assert "Traceback" not in result.text
    assert folder_name({"seed": "[0,1,2,3]"}) == "seed=0..3"


def test_arrays_whose_shapes_differ_between_members_are_left_out() -> None:
    def outcome(maps: int) -> Outcome:
        arrays = {"phi": np.zeros((maps, 2)), "rank": np.arange(3)}
        return Outcome([("gini", float(maps))], pd.DataFrame(), arrays, Provenance("rows"), 1)

    merged = _merge([{"seed": 0}, {"seed": 1}], [outcome(4), outcome(5)])
    assert {name: array.shape for name, array in merged.arrays.items()} == {"rank": (2, 3)}
    assert [row[1] for row in merged.rows] == [4, 5]
