"""What is timed side by side computes the same; the bench writes what it promises. No timing is asserted."""

import functools
import io
import json
import runpy
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from attrpriors import ExpectedGradients, Split, gini, graph_variation, total_variation
from attrpriors import model as room
from attrpriors.bench import (
    attribution,
    ceiling,
    compiled,
    ensemble,
    estimators,
    formulation,
    growth,
    memory,
    plan,
    steps,
)
from attrpriors.bench.__main__ import main
from attrpriors.bench.case import Case, plain_vgg16
from attrpriors.bench.clock import interleaved
from attrpriors.bench.formulation import Captum, load_authors, ours
from attrpriors.data import Dataset
from attrpriors.figure import canvas
from attrpriors.report import embedded

MLP = Case("mlp", (6,), "binary", lambda data: room.mlp(data, [8, 5]), gini, batch=7, k=1, rows=40)
CNN = Case(
    "cnn",
    (1, 8, 8),
    "classes",
    lambda data: room.cnn(data, [2, 3], 6, kernel=3, dropout=0.0, batch_norm=False),
    total_variation,
    batch=5,
    k=2,
    rows=40,
)
GRAPH = Case(
    name="mlp_graph",
    shape=(9,),
    output="regression",
    network=lambda data: room.mlp(data, [8]),
    penalty=graph_variation,
    batch=4,
    k=3,
    genes=6,
    edges=7,
    rows=40,
)
CASES = (MLP, CNN, GRAPH)
# An explainer with the interface of the authors': what it is asked for must reach it.
AUTHORS = """
import torch

class AttributionPriorExplainer:
    def __init__(self, background_dataset, batch_size, random_alpha=True, k=1, scale_by_inputs=True):
        self.background, self.batch_size, self.k = background_dataset, batch_size, k

    def shap_values(self, model, input_tensor, sparse_labels=None):
        index, alpha = DRAWS if "DRAWS" in globals() else (torch.arange(self.batch_size * self.k), None)
        reference = self.background[index.flatten()][0].to(DEFAULT_DEVICE)
        reference = reference.view(self.batch_size, self.k, *reference.shape[1:])
        alpha = torch.rand(self.batch_size, self.k) if alpha is None else alpha
        alpha = alpha.to(reference).view(self.batch_size, self.k, *[1] * (reference.ndim - 2))
        delta = input_tensor[:, None] - reference
        points = (reference + alpha * delta).flatten(0, 1).requires_grad_()
        output = model(points)
        if output.shape[1] > 1:
            output = output.gather(1, sparse_labels.repeat_interleave(self.k)[:, None])
        (slope,) = torch.autograd.grad(output.sum(), points, create_graph=True)
        return (delta * slope.view(delta.shape)).mean(1)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like the authors' repository."""
    path = tmp_path / "checkout" / "attributionpriors" / "pytorch_ops.py"
    path.parent.mkdir(parents=True)
    path.write_text(AUTHORS)
    return tmp_path / "checkout"


def double(data: Dataset) -> Dataset:
    def part(split: Split) -> Split:
        return Split(split.x.double(), split.y.double() if split.y.is_floating_point() else split.y, split.unit)

    graph = data.graph and replace(data.graph, weight=data.graph.weight.double())
    return replace(data, **{name: part(split) for name, split in data.parts.items()}, graph=graph)


class Double(Case):
    """A case in float64."""

    def data(self, seed: int = 0) -> Dataset:
        return double(super().data(seed))

    def model(self, data: Dataset, seed: int = 0) -> nn.Module:
        return super().model(data, seed).double()


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return Double(**vars(request.param))


def draws_like_ours(case: Case, data: Dataset, authors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """captum and the authors' explainer draw what ours will draw."""
    explain = ours(case, data)
    assert isinstance(explain, ExpectedGradients)
    index, alpha = explain._draw(case.batch)
    monkeypatch.setattr(np.random, "choice", lambda count, size: index.flatten().numpy())
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: alpha.flatten().numpy())
    authors.DRAWS = index, alpha  # type: ignore[attr-defined]


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in model.parameters()])


STILL = partial(torch.optim.SGD, lr=0.0)


def test_every_formulation_of_a_step_has_our_gradient(case, checkout, monkeypatch):
    data, authors = case.data(), load_authors(checkout)
    known = formulation.steps(case, data, authors, STILL)
    draws_like_ours(case, data, authors, monkeypatch)
    found = {}
    for name, step in known.items():
        step()
        found[name] = gradients(step.model)
    expected = {"plain", "ours", "stock", "captum", "authors"}
    variant = ", channels_last" if len(case.shape) == 3 else formulation.DEFAULT
    assert {name.removesuffix(variant) for name in found} == expected
    prior = found["ours"] - found["plain"]
    assert prior.abs().max() > 1e-3
    for name, gradient in found.items():
        whole = found["plain"] if name.startswith("plain") else found["ours"]
        torch.testing.assert_close(
            gradient, whole, rtol=1e-9, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_captum_as_shipped_keeps_no_graph_and_patched_it_does():
    data = MLP.data()
    net, x = MLP.model(data), data.train.x[:3]
    explainer = Captum(MLP, data)
    assert not explainer.explainer(net).attribute(x, data.train.x, n_samples=1, stdevs=0.0).requires_grad
    assert explainer(net, x).requires_grad
    with torch.no_grad():  # the patch ends with the call
        assert not net(x).requires_grad


def test_a_function_to_compile_has_our_gradient(case):
    data = case.data()
    step = compiled.CompiledStep(case, data, STILL, lambda function: function)
    assert compiled.difference(step, case, data) < 1e-9


@pytest.mark.parametrize(
    ("compiler", "accepted", "sentence"),
    [
        (lambda function: function, True, "compiled in"),
        (lambda function: lambda *given: {n: 1.01 * g for n, g in function(*given).items()}, False, "from ours"),
        (lambda function: 1 / 0, False, "left out, torch.compile ends in ZeroDivisionError: division by zero"),
    ],
    ids=["exact", "inexact", "refused"],
)
def test_a_compiled_step_is_left_out_unless_it_is_exact(compiler, accepted, sentence, monkeypatch):
    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr(compiled.shutil, "which", lambda name: "there")
    step, said = compiled.attempt(MLP, MLP.data())
    assert (step is not None) == accepted
    assert sentence in said


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    assert compiled.attempt(MLP, MLP.data()) == (None, "left out, no C++ compiler (g++ or clang++) was found")


def test_the_plain_vgg16_is_the_projects_without_normalisation():
    data = replace(CNN, shape=(3, 32, 32)).data()
    layers = [type(layer).__name__ for layer in plain_vgg16(data)]
    whole = [type(layer).__name__ for layer in room.vgg16(data)]
    assert layers == [name for name in whole if name not in ("GroupNorm", "Dropout")]
    assert layers.count("Conv2d") == 13


def test_the_floor_counts_passes_through_every_layer():
    # 6-8-5-1: 48 + 40 + 5 multiplications; convolutions 18 x 64 and 54 x 16, then 72 + 60; 9-8-1: 72 + 8
    for case, first, whole in ((MLP, 48, 93), (CNN, 1152, 2148), (GRAPH, 72, 80)):
        data = case.data()
        plain = 3 * whole - first  # the first layer needs no input gradient
        assert steps.floor(case.model(data), data.train.x, case.k) == (plain + 4 * case.k * whole) / plain


def test_rounds_take_the_tasks_in_turn():
    called: list[str] = []
    times = interleaved({name: partial(called.append, name) for name in "abc"}, rounds=2, least=1e-12, spent=0)
    assert "".join(called) == "abc" + "abc" + "bca"  # long ones are called once before
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 2, "b": 2, "c": 2}


def test_on_a_linear_model_the_control_variate_leaves_no_variance_and_the_whole_background_neither():
    data = double(MLP.data())
    net, x, y = room.linear(data).double(), data.test.x[:3], data.test.y[:3]
    few, all_rows = (estimators.estimators(data.train.x, k) for k in (4, len(data.train)))
    variance = {name: estimators.variance(explain, net, x, y, 5).max() for name, explain in few.items()}
    assert variance["independent"] > 1e-3
    assert variance["without replacement, stratified"] > 1e-3
    assert variance["control variate"] < 1e-20
    assert variance["controlled"] < 1e-20
    name = "without replacement, stratified"
    assert estimators.variance(all_rows[name], net, x, y, 5).max() < 1e-20
    assert estimators.variance(all_rows["independent"], net, x, y, 5).max() > 1e-5


def tiny_trained(case: Case) -> estimators.Trained:
    trainer = estimators.Trainer(1, None, estimators.ADAM, torch.Generator().manual_seed(0))
    return estimators.Trained(case.name, case.data(), case.network, trainer, case.penalty, 0.1, case.rows)


def test_the_gradient_of_a_penalty_without_draws_has_no_noise():
    trained = tiny_trained(replace(MLP, rows=8))
    net = trained.model()
    varied = estimators.gradient_noise(trained, net, 2, "independent", 4)
    trained.data.train.x[:] = trained.data.train.x[0]  # every reference is x itself: phi is zero
    noise, signal = estimators.gradient_noise(trained, net, 2, "independent", 4)
    assert varied[0] > 0
    assert noise == signal == 0


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def as_a_program(module: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """`python -m module arguments` inside this process."""
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    runpy.run_module(module, run_name="__main__")


def test_other_processes_are_started_together_and_end_with_the_measurement(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\necho "$@" >> "$0.log"\nwhile read line; do echo "$line" >> "$0.log"; echo trained; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(ensemble.sys, "executable", str(program))
    with ensemble.Processes(1, members=3, epochs=2) as processes:
        processes()
        processes()
        assert processes.workers[0].poll() is None
    assert processes.workers[0].returncode == 0
    assert Path(f"{program}.log").read_text() == "-m attrpriors.bench.ensemble 3 2\nstart\nstart\n"


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_such_a_process_trains_at_every_line(threads, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("start\nstart\n"))
    as_a_program("attrpriors.bench.ensemble", monkeypatch, "2", "1")
    assert capsys.readouterr().out == "trained\ntrained\n"


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_peak_memory_is_printed_by_a_process_of_its_own(threads, tmp_path, monkeypatch, capsys):
    as_a_program("attrpriors.bench.memory", monkeypatch, "mlp", "ours", "2", "1", "cpu", "1", "")
    assert 0 <= float(capsys.readouterr().out) < 1000
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$@" >> "$0.log"\necho 12.5\n')
    program.chmod(0o755)
    monkeypatch.setattr(memory.sys, "executable", str(program))
    assert memory.peak("mlp", "ours", 2, 1, "cpu", None) == 12.5
    asked = f"-m attrpriors.bench.memory mlp ours 2 1 cpu {torch.get_num_threads()} \n"
    assert Path(f"{program}.log").read_text() == asked


def test_a_process_that_ends_without_its_peak_memory_is_told(monkeypatch, capsys):
    monkeypatch.setattr(memory.sys, "executable", "false")
    assert np.isnan(memory.peak("mlp", "ours", 3, 1, "cpu", None))
    assert capsys.readouterr().out == "mlp: no peak memory of ours at k = 3: status 1\n"


@pytest.fixture
def small(threads: None, monkeypatch: pytest.MonkeyPatch) -> plan.Plan:
    """Everything that is measured, in small; without other processes."""
    monkeypatch.setattr(memory, "peak", lambda *given: 1.5)
    monkeypatch.setattr(ensemble, "Processes", lambda count, *given: nullcontext(lambda: None))
    monkeypatch.setattr(ensemble, "CASE", replace(MLP, rows=MLP.batch))
    monkeypatch.setattr(growth, "CASE", replace(MLP, rows=MLP.batch))
    monkeypatch.setattr(growth, "AXES", {"k": ((1, 2), lambda k: replace(MLP, k=k))})
    monkeypatch.setattr(growth, "MEMBERS", (1, 2))
    monkeypatch.setattr(plan, "EXPLAINED", {case.name: replace(case, rows=600) for case in (MLP, CNN)})
    monkeypatch.setattr(estimators, "trained_cnn", lambda device, digits: tiny_trained(replace(CNN, rows=60)))
    monkeypatch.setattr(estimators, "trained_mlp", lambda device: tiny_trained(replace(MLP, rows=60)))
    monkeypatch.setattr(ceiling, "measure", functools.partial(ceiling.measure, size=64))
    monkeypatch.setattr(canvas, "METADATA", {"png": {}})
    monkeypatch.setattr("attrpriors.bench.clock.interleaved.__defaults__", ("cpu", 1e-9, 0.0))
    return replace(
        plan.QUICK,
        cases=CASES,
        rounds=1,
        items={"cnn": 2, "mlp": 3},
        ks=(4, 5),
        repetitions=2,
        explained=2,
        penalties=2,
        starts=2,
        members=(2, 3),
        alone=1,
        epochs=2,
        fits=1,
        growing=1,
    )


COLUMNS = {
    "steps": "case,formulation,median_ms,ratio_to_plain,low,high",
    "attribution": "case,method,items_per_second,peak_mb,low,high",
    "memory": "case,method,k,peak_mb",
    "ensemble": "case,members,models_per_second,speedup,low,high,epochs",
    "estimators": "case,estimator,k,variance_gain,low,high",
    "training": "case,estimator,variance_gain,noise_to_signal,step_ms,objective,standard_error",
    "ceiling": "measure,unit,value,low,high,threads,processor,torch",
    "growth": "axis,value,formulation,median_ms,ratio_to_plain,low,high",
}


@pytest.mark.filterwarnings("ignore:The set_.* function:PendingDeprecationWarning")  # shap's colour maps
def test_the_command_writes_every_table_with_its_columns_and_cases(small, checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["--grow", "--threads", "1", "--authors", str(checkout)], small)
    folder = tmp_path / "results/bench"
    found = {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}
    assert {name: ",".join(table.columns) for name, table in found.items()} == COLUMNS
    assert set(json.loads((folder / "manifest.json").read_text())) == set(COLUMNS)
    assert (folder / "growth.png").exists()
    step = found["steps"].set_index(["case", "formulation"])
    named = {"plain", "ours", "stock", "captum", "authors", "floor"}
    assert all(named <= set(step.loc[case.name].index) for case in CASES)
    assert (step.xs("plain", level=1)["ratio_to_plain"] == 1).all()
    assert set(step.xs("floor", level=1).index) == {case.name for case in CASES}
    methods = {"ours", "ours, controlled", "captum GradientShap", "shap GradientExplainer", "authors"}
    assert all(methods <= set(part["method"]) for _, part in found["attribution"].groupby("case"))
    assert set(found["memory"]["k"]) == {4, 5}
    trained = found["ensemble"].set_index(["case", "members"])
    assert trained.loc[("serial, stock, default matmul", 1), "speedup"] == 1
    alone = {(f"serial{kind}, default matmul", 1) for kind in ("", ", no prior", ", authors")}
    assert alone | {("ensemble", 2), ("ensemble", 3)} <= set(trained.index)
    gains = found["estimators"].set_index(["case", "k", "estimator"])["variance_gain"]
    assert (gains.xs("independent", level=2) == 1).all()
    text = embedded("<!-- results/bench/table.md: main -->\n<!-- end -->", tmp_path)
    assert "### A training step" in text
    assert "###" not in text.split("### A training step")[1]


def test_only_measures_a_part_beside_what_is_there_and_a_whole_run_clears_it(small, tmp_path):
    folder = tmp_path / "bench"
    given = ["--threads", "1", "--folder", str(folder), "--only"]
    main([*given, "ceiling"], small)
    main([*given, "steps"], small)
    assert set(json.loads((folder / "manifest.json").read_text())) == {"ceiling", "steps"}
    assert "### What the machine reaches" in (folder / "table.md").read_text()


def test_a_folder_that_is_no_checkout_of_the_authors_is_told_in_a_sentence(tmp_path):
    with pytest.raises(SystemExit) as refusal:
        main(["--authors", str(tmp_path)])
    assert str(refusal.value) == (
        "AUTHORS is a checkout of suinleelab/attributionpriors, with attributionpriors/pytorch_ops.py; "
        f"found no such file in {tmp_path}"
    )


@pytest.mark.parametrize(
    ("given", "told"), [(["--threads", "0"], "threads is 1 or more"), (["--device", "x"], "device")]
)
def test_a_setting_out_of_range_is_told_in_a_sentence(given, told):
    with pytest.raises(SystemExit, match=told):
        main(given)


def test_without_captum_and_shap_their_rows_are_left_out_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(memory, "peak", lambda *given: 1.5)
    table = steps.measure([MLP], 1, "cpu", None, compiling=())
    table = pd.concat([table, attribution.measure({MLP: 2}, 4, 1, "cpu")])
    assert not table[["formulation", "method"]].stack().str.contains("captum|shap").any()
    out = capsys.readouterr().out
    assert "captum is not installed (pip install attrpriors[test]): its rows are left out\n" in out
    assert "shap is not installed (pip install attrpriors[test]): shap GradientExplainer is left out\n" in out
