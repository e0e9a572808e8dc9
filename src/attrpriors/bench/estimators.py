"""estimators.csv and training.csv: what a better estimator of expected gradients gains at equal k.

On a CNN trained on mnist_5k and an MLP trained on health_simulated, a few epochs each: the variance of attributions at
evaluation, the variance of the penalty's gradient in training, and the objective that training reaches.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .. import model
from ..attribution import ExpectedGradients
from ..attribution.expected import Estimator
from ..data import Dataset, health_simulated, mnist_5k
from ..prior import AttributionPrior, NoPrior, Penalty, gini, total_variation
from ..train import Trainer, task_loss
from .clock import interleaved, quartiles

COLUMNS = ("case", "estimator", "k", "variance_gain", "low", "high")
TRAINING = ("case", "estimator", "variance_gain", "noise_to_signal", "step_ms", "objective", "standard_error")
ADAM = partial(torch.optim.Adam, lr=1e-3)
SETTINGS: dict[str, tuple[int, Estimator]] = {
    "k = 1, independent": (1, "independent"),
    "k = 10, independent": (10, "independent"),
    "k = 10, controlled": (10, "controlled"),
}


@dataclass(frozen=True)
class Trained:
    """A trained network and the prior that suits it."""

    case: str
    data: Dataset
    build: Callable[[Dataset], nn.Module]
    trainer: Trainer
    penalty: Penalty
    weight: float
    batch: int  # rows of a training step

    def model(self, seed: int = 0) -> nn.Module:
        """A new network."""
        torch.manual_seed(seed)
        return self.build(self.data).to(self.data.train.x.device)

    def fitted(self) -> nn.Module:
        """The network trained without a prior."""
        network = self.model()
        self.trainer.fit(network, self.data, NoPrior())
        return network.eval()

    def prior(self, k: int, estimator: Estimator, seed: int = 0) -> AttributionPrior:
        explain = ExpectedGradients(self.data.train.x, k, torch.Generator().manual_seed(seed), estimator=estimator)
        return AttributionPrior(self.weight, self.penalty, explain, self.data)


def trained_cnn(device: str, digits: int = 3500) -> Trained:
    """The authors' MNIST net without normalisation after one epoch on so many digits."""
    data = mnist_5k.load(train=digits, seed=0).to(device)
    build = partial(model.cnn, channels=[32, 64], hidden=1024, batch_norm=False)
    trainer = Trainer(1, 50, ADAM, torch.Generator().manual_seed(0))
    return Trained("cnn, mnist_5k", data, build, trainer, total_variation, weight=3e-4, batch=50)


def trained_mlp(device: str, epochs: int = 20) -> Trained:
    """The health experiment's network after so many epochs on 100 simulated people."""
    data = health_simulated.load(seed=0).to(device)
    build = partial(model.mlp, hidden=[512, 128, 32])
    trainer = Trainer(epochs, None, ADAM, torch.Generator().manual_seed(0))
    return Trained("mlp, health_simulated", data, build, trainer, gini, weight=0.3, batch=100)


def estimators(background: Tensor, k: int) -> dict[str, ExpectedGradients]:
    """The project's estimators, and the two parts of `controlled` alone."""

    def make(estimator: Estimator, complete: bool = False) -> ExpectedGradients:
        generator = torch.Generator().manual_seed(2)
        return ExpectedGradients(background, k, generator, estimator=estimator, complete=complete)

    drawn, variate = make("independent"), make("controlled")
    drawn._draw = make("controlled")._draw  # type: ignore[method-assign]
    variate._draw = make("independent")._draw  # type: ignore[method-assign]
    return {
        "independent": make("independent"),
        "without replacement, stratified": drawn,
        "control variate": variate,
        "controlled": make("controlled"),
        "controlled, complete": make("controlled", complete=True),
    }


def measure(cases: Iterable[Trained], ks: Iterable[int], rows: int, repetitions: int) -> pd.DataFrame:
    """Variance of phi over repetitions, mean over features and test rows: that of `independent` over the estimator's.

    low and high: quartiles over the rows. A row a case, k and estimator.
    """
    found: list[dict[str, object]] = []
    for case in cases:
        network, data = case.fitted(), case.data
        x, y = data.test.x[:rows], data.test.y[:rows]
        for k in ks:
            each = {
                name: variance(explain, network, x, y, repetitions)
                for name, explain in estimators(data.train.x, k).items()
            }
            for name, value in each.items():
                gain = float(each["independent"].mean() / value.mean())
                row = {"case": case.case, "estimator": name, "k": k, "variance_gain": gain}
                found.append(row | quartiles(pd.Series((each["independent"] / value).numpy())))
    return pd.DataFrame(found, columns=list(COLUMNS))


def variance(explain: ExpectedGradients, network: nn.Module, x: Tensor, y: Tensor, repetitions: int) -> Tensor:
    """Of phi over repetitions, mean over features: (B,)."""
    with torch.no_grad():
        phis = torch.stack([explain(network, x, y) for _ in range(repetitions)])  # (R, B, *F)
    return phis.double().var(0).flatten(1).mean(1).cpu()


def training(cases: Iterable[Trained], repetitions: int, rounds: int, epochs: int, starts: int) -> pd.DataFrame:
    """Whether the estimators help training. A row a case and setting.

    variance_gain: variance of the penalty's gradient, k = 1 over the setting; noise_to_signal: its standard deviation
    over the norm of its mean. objective: task + weight * penalty with the whole background after `epochs` full batches,
    mean over `starts` with its standard error; for data sets of one batch.
    """
    found = []
    for case in cases:
        network = case.fitted()
        times = interleaved({name: step(case, network, *given) for name, given in SETTINGS.items()}, rounds)
        spread = {name: gradient_noise(case, network, *given, repetitions) for name, given in SETTINGS.items()}
        for name, (k, estimator) in SETTINGS.items():
            reached = np.full(2, np.nan)
            if len(case.data.train) == case.batch:
                reached = np.array([objective(case, k, estimator, seed, epochs) for seed in range(starts)])
            first, (noise, signal) = spread["k = 1, independent"][0], spread[name]
            values = (first / noise, (noise / signal) ** 0.5, 1e3 * times[name].median())
            error = reached.std(ddof=1) / len(reached) ** 0.5
            found.append((case.case, name, *values, reached.mean(), error))
    return pd.DataFrame(found, columns=list(TRAINING))


def step(case: Trained, network: nn.Module, k: int, estimator: Estimator) -> Callable[[], object]:
    """A training step on a copy of the network."""
    own = copy.deepcopy(network)
    rows = torch.arange(case.batch, device=case.data.train.x.device)
    return partial(case.trainer.step, own, case.data, case.prior(k, estimator), ADAM(own.parameters()), rows)


def gradient_noise(
    case: Trained, network: nn.Module, k: int, estimator: Estimator, repetitions: int
) -> tuple[float, float]:
    """Of the penalty's gradient over repetitions: its variance summed over parameters, and |its mean|^2."""
    prior, parameters = case.prior(k, estimator), list(network.parameters())
    x, y = case.data.train.x[: case.batch], case.data.train.y[: case.batch]
    total = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in parameters]
    square = 0.0
    for _ in range(repetitions):
        gradient = torch.autograd.grad(prior(network, x, y), parameters, materialize_grads=True)
        square += sum(float(one.double().square().sum()) for one in gradient)
        total = [held + one for held, one in zip(total, gradient, strict=True)]
    mean = sum(float((held / repetitions).square().sum()) for held in total)
    noise = (square / repetitions - mean) * repetitions / (repetitions - 1)
    return noise, mean - noise / repetitions


def objective(case: Trained, k: int, estimator: Estimator, seed: int, epochs: int) -> float:
    """What a network that was trained through the estimator reaches, with references enough to tell."""
    network, data, prior = case.model(seed), case.data, case.prior(k, estimator, seed)
    optimizer, rows = ADAM(network.parameters()), torch.arange(case.batch, device=data.train.x.device)
    for _ in range(epochs):
        case.trainer.step(network, data, prior, optimizer, rows)
    with torch.no_grad():
        task = task_loss(network(data.train.x), data.train.y, data.output)
        whole = case.prior(len(data.train), "controlled", seed)
        return float(task + case.weight * whole(network, data.train.x, data.train.y))
