"""Every configuration is run, on made-up rows."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from command import CONF, MEASURED, NARROW, ROOT, RULER, SMALL, command, jobs, photographs, planned
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from attrpriors import figure
from attrpriors.build import build
from attrpriors.choices import GROUPS, choices, said_of
from attrpriors.data import Dataset, Split, redundant_feature
from attrpriors.evaluate import better
from attrpriors.figure import canvas
from attrpriors.figure import grid as pictures_of_grids
from attrpriors.model import linear
from attrpriors.prior import NoPrior

# choice -> the made-up data set that it is run on
MODEL = {"linear": "binary", "mlp": "regression", "cnn": "images", "vgg16": "pictures", "resnet18": "pictures"}
MODEL |= {"glorot_mlp": "regression", "affine": "redundant"}
MODEL |= {"pooled_cnn": "images", "graph_network": "regression"}
MODEL |= {"cnn_tanh": "images", "cnn_plain": "images"}
MODEL |= {"vgg16_small": "pictures", "mlp_response": "regression"}
MODEL |= {"per_drug": "regression", "drug_embedding": "regression"}
OWN_MODEL = ("imported",)  # tests/test_imported.py
OWN_MODEL += ("vgg16_imagenet",)  # of 138 million parameters: tests/test_model.py, and the experiments below
ATTRIBUTION = dict.fromkeys(
    ("gradient", "input_x_gradient", "smoothgrad", "integrated_gradients", "expected_gradients", "ruler", "ruler_100"),
    "images",
)
ATTRIBUTION |= dict.fromkeys(("log_probability_gradient", "loss_gradient", "integrated_gradients_black"), "images")
ATTRIBUTION |= {f"probability/expected_gradients_{k}": "redundant" for k in (1, 2, 3, 4, 5)}
ATTRIBUTION |= {f"probability/integrated_gradients_{steps}": "redundant" for steps in (3, 5, 50)}
ATTRIBUTION |= {"probability/gradient": "redundant", "probability/log_gradient": "redundant"}
EVALUATION_ONLY = dict.fromkeys(
    ("random", "greedy_pig", "deep_lift", "gradient_shap", "guided_backprop", "occlusion", "kernel_shap"), "images"
)
PRIOR = {"total_variation": "images", "graph": "regression"} | dict.fromkeys(
    ("none", "gini", "l1_attribution", "l2_attribution", "irrelevant_attribution"), "binary"
)
PRIOR |= dict.fromkeys(("gini_l1", "l1_all", "l1_first", "l2_all", "l2_first", "sgl_all", "sgl_first"), "binary")
PRIOR |= {f"total_variation_{name}": "images" for name in ("gradient", "log_probability", "integrated_gradients")}
PRIOR |= dict.fromkeys(("input_gradient", "noise"), "images")
PRIOR |= {f"total_variation_{name}": "images" for name in ("imagenet", "cifar", "gradient_cifar")}
PRIOR |= {f"total_variation_{name}": "images" for name in ("cifar_paper", "gradient_cifar_paper")}
PRIOR |= dict.fromkeys(("graph_normalised", "degree", "squared_attribution", "graph_lasso"), "regression")
TRAIN = {"ensemble": "binary", "ensemble_sgd": "binary", "benchmark": "regression", "convergence": "redundant"}
TRAIN |= {"images": "images", "full_batch": "binary", "finetune": "regression"}
TRAIN |= {"table": "binary", "response": "regression", "alternating": "regression"}
TRAIN |= dict.fromkeys(("continued", "adversarial", "atex", "atex_code", "noise"), "images")
TRAIN |= {"cifar": "images", "imagenet": "images"}
EVALUATE = ("standard", "quick", "validation")
OWN_EVALUATION = ("masking", "masking_kernel_shap", "convergence")  # tests/test_masking.py, and the experiments below
OWN_EVALUATION += ("manipulation",)  # tests/test_manipulation.py, and the experiments below
OWN_EVALUATION += ("saliency", "selection")  # tests/test_information.py, tests/test_selection.py, the experiments below
OWN_EVALUATION += ("axioms",)  # tests/test_axioms.py, and the experiments below
OWN_EVALUATION += ("comparators",)  # tests/test_comparators.py, and the experiments below
OWN_EVALUATION += ("targets", "targets_gdsc")  # tests/test_targets.py, and the experiments below
# tests/test_classical.py, test_comparators.py, test_regression.py
NO_NETWORK = {"model": ("trees",), "train": ("logistic", "boosting", "regression", "per_drug_ridge")}
OWN_COMMAND = {"bench": "python -m attrpriors.bench"}  # cards that are no experiment of run.py
LAUNCHER = ("submitit", "slurm")  # tests/test_sweep.py
# the embedded data set of the same family that takes the place of one with files
EMBEDDED = {"mnist": "mnist_5k", "gdsc": "drug_simulated", "nhanes": "health_simulated"}
EMBEDDED |= {"nhanes_paper": "health_simulated", "beataml": "drug_simulated"}
EMBEDDED |= {"cifar10": "image_folder"}  # made-up photographs


def names(group: str) -> list[str]:
    """The choices of a group: "none", "quick/images"."""
    folder = CONF / group
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


EXPERIMENTS = names("experiment")
# of grids of comparators: networks, and two strengths
FEW = ["comparator=none,dropout,gini_eg,l1_first", "strengths=[0.1,1]", "rates=[0.3,0.5]"]
FEW_OF_DRUGS = ["comparator=drug/none,drug/graph,drug/rewired,drug/dropout", "initialisation=0"]
ALIKE = ("images_cifar_paper", "images_imagenet")  # their figures are of the kinds of images_cifar
PAPER_SCALE = [name for name in EXPERIMENTS if not name.startswith("quick/")]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def redundant() -> Dataset:
    """Two features, as the attributions of the convergence demo need them."""
    return redundant_feature.load(train=20, validation=20, test=10, seed=0)


@pytest.fixture(scope="session")
def pictures(images: Dataset) -> Dataset:
    """Two images of each part, enlarged to 32 x 32: vgg16 takes no smaller ones."""

    def enlarged(part: Split) -> Split:
        return Split(F.interpolate(part.x[:2], 32), part.y[:2], part.unit[:2])

    return replace(images, **{name: enlarged(part) for name, part in images.parts.items()})


@pytest.fixture
def data(request: pytest.FixtureRequest) -> Dataset:
    return request.getfixturevalue(request.param)


def test_every_configuration_is_run_by_a_test() -> None:
    found = {path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml")}
    loaded = {
        name
        for path in (Path(__file__).parent / "data").glob("test_*.py")
        for name in re.findall(r'configured\("(\w+)"', path.read_text())
    }
    groups = {
        "data": loaded,
        "model": (*MODEL, *OWN_MODEL),
        "attribution": ATTRIBUTION | EVALUATION_ONLY,
        "prior": PRIOR,
    }
    groups |= {"train": TRAIN, "evaluate": EVALUATE + OWN_EVALUATION, "experiment": EXPERIMENTS}
    groups |= {"hydra/launcher": LAUNCHER}
    groups |= {"comparator": names("comparator")}  # tests/test_comparators.py, test_response.py
    groups |= {"contrast": names("contrast")}  # by the experiments below
    groups = {group: (*cases, *NO_NETWORK.get(group, ())) for group, cases in groups.items()}
    assert found == {f"{group}/{name}" for group, cases in groups.items() for name in cases} | {"config"}


@pytest.mark.parametrize(("name", "data"), MODEL.items(), indirect=["data"])
def test_every_model_gives_a_score_for_each_row_and_output(name: str, data: Dataset) -> None:
    model = build(composed(f"model={name}").model, data=data).eval()
    with torch.no_grad():
        scores = model(data.train.x[:2])
    assert scores.shape == (2, data.outputs)
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize(("name", "data"), [*ATTRIBUTION.items(), ("ruler", "binary")], indirect=["data"])
@pytest.mark.parametrize("role", ["attribution", "explain"])
def test_every_attribution_is_shaped_like_its_input(name: str, data: Dataset, role: str) -> None:
    key = "attribution" if role == "attribution" else "attribution@explain"
    few = [f"{role}.k=5"] if name.startswith("ruler") else []  # references, no more than the rows
    attribution = build(composed(f"{key}={name}", *few)[role], background=data.train.x, generator=draws())
    phi = attribution(linear(data), data.test.x, data.test.y)
    assert phi.shape == data.test.x.shape
    assert torch.isfinite(phi).all()


@pytest.mark.parametrize(("name", "data"), EVALUATION_ONLY.items(), indirect=["data"])
def test_an_attribution_for_evaluation_only_explains_and_is_refused_in_training(name: str, data: Dataset) -> None:
    cfg = composed(f"attribution@explain={name}").explain
    explain = build(cfg, background=data.train.x, generator=draws())
    with torch.no_grad():
        phi = explain(linear(data), data.test.x, data.test.y)
    assert phi.shape == data.test.x.shape
    assert torch.isfinite(phi).all()
    with pytest.raises(ValueError, match="cannot be trained through"):
        explain(linear(data), data.test.x, data.test.y)


@pytest.mark.parametrize(("name", "data"), PRIOR.items(), indirect=["data"])
def test_every_prior_is_a_finite_number_to_train_through_with_a_weight(name: str, data: Dataset) -> None:
    cfg, model = composed(f"prior={name}"), linear(data)
    attribution = build(cfg.attribution, background=data.train.x, generator=draws())
    prior = build(cfg.prior, attribution=attribution, data=data)
    penalty: Tensor = prior(model, data.train.x, data.train.y)
    assert penalty.shape == ()
    assert torch.isfinite(penalty)
    assert penalty.requires_grad == (name not in ("none", "noise"))
    assert isinstance(prior.weight, float)
    assert prior.weight >= 0


@pytest.mark.parametrize(("name", "data"), TRAIN.items(), indirect=["data"])
def test_every_training_gives_a_history(name: str, data: Dataset) -> None:
    cfg = composed(f"train={name}").train
    cut = {key: 1 for key in ("epochs", "finetune") if key in cfg}
    history = build(DictConfig({**cfg, **cut}), generator=draws()).fit(linear(data), data, NoPrior())
    assert list(history["epoch"]) == list(range(1, sum(cut.values()) + 1))
    assert (history["loss"] > 0).all()


@pytest.mark.parametrize("data", ["binary", "regression", "images"], indirect=True)
@pytest.mark.parametrize("name", EVALUATE)
def test_every_evaluation_gives_finite_rows_whose_better_side_is_known(name: str, data: Dataset) -> None:
    cfg = composed(f"evaluate={name}", "attribution.k=2")  # one reference has no standard error
    explain = build(cfg.attribution, background=data.train.x, generator=draws())
    rows, arrays = build(cfg.evaluate, generator=draws())(linear(data), data, explain)
    table = pd.Series(dict(rows))
    assert len(table) == len(rows)
    assert table.notna().all()
    assert arrays
    assert [metric for metric in table.index if better(metric) not in ("higher", "lower")] == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_its_name_its_command_and_its_grid_of_choices_that_exist(name: str) -> None:
    cfg = composed(f"experiment={name}")
    assert cfg.name == name
    assert cfg.hydra.mode.name == "MULTIRUN"
    assert f"\n# python run.py experiment={name}" in (CONF / "experiment" / f"{name}.yaml").read_text()
    grid = jobs([f"{key}={value}" for key, value in cfg.hydra.sweeper.params.items()])
    assert len(grid) > 1
    assert "prior" not in cfg.hydra.sweeper.params or any("prior=none" in job for job in grid)
    comparators = {part for job in grid for part in job if part.startswith("comparator=")}
    assert not comparators or any(part.endswith("none") for part in comparators)
    assert "contrast" not in cfg.hydra.sweeper.params or any("contrast=none" in job for job in grid)
    # seeds aside, each job composes: an unknown choice or key would not
    kinds = {tuple(part for part in job if not part.startswith("seed=")) for job in grid}
    for job in kinds if "comparator" not in cfg.hydra.sweeper.params else []:  # else tests/test_comparators.py
        composed(f"experiment={name}", *job)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_end_to_end_at_toy_scale(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "METADATA", {"png": {}})  # figures take most of the time
    monkeypatch.setitem(canvas.STYLE, "savefig.dpi", 50)
    monkeypatch.setattr(BasicSweeper, "validate_batch_is_legal", lambda self, batch: None)  # each is composed anyway
    elsewhere = f"quick/{name}" in EXPERIMENTS or name in ALIKE
    if elsewhere:
        monkeypatch.setattr(figure, "draw", lambda runs, table: None)  # as those of its quick form
        monkeypatch.setattr(pictures_of_grids, "draw", lambda folder, models, selected: None)
    cfg = composed(f"experiment={name}")
    chosen = cfg.hydra.runtime.choices
    embedded = EMBEDDED.get(chosen.data, chosen.data)
    small = [*(SMALL.get(embedded) or photographs(tmp_path)), *NARROW[chosen.model]]
    if chosen.evaluate in MEASURED:
        small = [part for part in small if part not in RULER] + MEASURED[chosen.evaluate]
    small += [f"train.{key}=1" for key in ("epochs", "finetune") if key in cfg.train]
    few = [] if "comparator" not in chosen else FEW_OF_DRUGS if chosen.comparator.startswith("drug/") else FEW
    result = command(f"experiment={name}", *small, *few, "seed=0", f"results={tmp_path}")
    assert result.status == 0, result.text
    table = pd.read_csv(tmp_path / name / "table.csv")
    assert (table["n"] == 1).all()
    fixed = {part.split("=")[0] for part in [*small, "seed=0"]}
    params = {key: value for key, value in cfg.hydra.sweeper.params.items() if key not in fixed}
    params.pop("initialisation", None)  # tables show the mean
    if "comparator" in params:
        params["comparator"] = few[0].split("=")[1]
    grid = jobs([f"{key}={value}" for key, value in params.items()])
    labels = table.columns.intersection(["prior", "weight", "attribution", "train", "comparator", *params])
    assert len(table[labels].drop_duplicates()) == len(grid)
    assert elsewhere or list((tmp_path / name / "figures").glob("*.png"))


@pytest.mark.parametrize("name", PAPER_SCALE)
def test_an_experiment_has_a_card_and_a_target_of_its_name(name: str) -> None:
    assert (ROOT / "experiments" / f"{name}.md").is_file()
    assert planned(name)[-1].endswith(f"run.py experiment={name}")


@pytest.mark.parametrize("name", sorted(set(EXPERIMENTS) - set(PAPER_SCALE)))
def test_a_quick_experiment_has_a_form_at_paper_scale_and_is_reproduced(name: str) -> None:
    assert name.removeprefix("quick/") in PAPER_SCALE
    assert name in yaml.safe_load((ROOT / "experiments/reproduce.yaml").read_text())


@pytest.mark.parametrize("card", sorted((ROOT / "experiments").glob("*.md")), ids=lambda path: path.stem)
def test_a_card_belongs_to_an_experiment(card: Path) -> None:
    assert card.stem in PAPER_SCALE or card.stem in OWN_COMMAND
    assert OWN_COMMAND.get(card.stem, f"python run.py experiment={card.stem}") in card.read_text()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_line_of_an_experiment_asks_its_question_and_ends_with_its_cost(name: str) -> None:
    said = said_of(CONF / "experiment" / f"{name}.yaml")
    assert re.fullmatch(r".+\? .+, (about )?\d+ (seconds|minutes?|hours?)( on (one core|two cores))?", said), said


def test_the_help_has_every_group() -> None:
    assert set(GROUPS) == {path.name for path in CONF.iterdir() if path.is_dir()} - {"hydra"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_opens_with_a_line_that_says_what_it_is(group: str) -> None:
    for name in names(group):
        lines = (CONF / group / f"{name}.yaml").read_text().splitlines()
        said = next(line for line in lines if not line.startswith("# @package"))
        assert re.fullmatch(r"# \S.{10,}", said), f"{group}/{name} opens with {said!r}"
        assert re.search(rf"^  {name} +{re.escape(said[2:])}$", choices(), re.MULTILINE)


def targets(node: object) -> list[str]:
    """Every _target_ within a configuration."""
    if isinstance(node, list):
        return [target for item in node for target in targets(item)]
    if not isinstance(node, dict):
        return []
    return [value for key, value in node.items() if key == "_target_"] + targets(list(node.values()))


def test_every_target_is_of_this_package_or_of_torch() -> None:
    for path in CONF.rglob("*.yaml"):
        if "hydra" not in path.relative_to(CONF).parts:  # launchers are plugins of Hydra
            for target in targets(yaml.safe_load(path.read_text())):
                assert target.startswith(("attrpriors.", "torch.")), f"{path.name}: {target}"
