"""AXIOMS: how far attributions are from the axioms of arXiv 1703.01365, on a trained network and on closed forms.

Each axiom says that some deviation is zero. A violation is its norm over rows and features, as a share of that of the
attributions (of the change of the score, for completeness). Methods that draw are called `repeats` times: the deviation
is the mean of these calls, and what is tolerated grows by three of its standard errors. Calls that are compared with
each other draw the same.

Letters: M rows explained, *F features, C the first axis of a row, R repeats.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn

from ...attribution import Attribution
from ...attribution.gradient import at_least_one
from ...build import complete
from ...data import Dataset
from ...record import Row
from .. import scores_of
from .network import Both, Case, affine, behind, counter_example, rewritten, saturated

Explain = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # model, x, y, background -> phi
Deviation = tuple[Tensor, Tensor]  # a tensor that the axiom wants to be zero, and what it is a share of

MIX = (0.7, -1.3)  # of two scores: one is added, one subtracted


def completeness(explain: Explain, case: Case) -> Deviation:
    """sum phi = f(x) - f(reference): the reference is zero, the mean row or the rows of the background, the nearest."""
    total = explain(case.model, case.x, case.y, case.background).flatten(1).sum(1)
    gaps = total - case.changes  # (3, M)
    nearest = gaps.abs().sum(1).argmin()
    return gaps[nearest], case.changes[nearest]


def sensitivity(explain: Explain, case: Case) -> Deviation:
    """(a) A feature whose change alone, from a baseline of zero, changes the score gets no zero: 1 where it does."""
    x, feature, moved = case.singles
    phi = explain(case.model, x, case.y, torch.zeros_like(x[:1])).flatten(1)
    given = phi.gather(1, feature[:, None]).squeeze(1)
    return (given.abs() <= 1e-6 * moved.abs()).double(), torch.ones(1)


def dummy(explain: Explain, case: Case) -> Deviation:
    """Sensitivity (b): features that the network does not use, here other rows' put beside x, get zero."""
    width = case.x.shape[1]
    model = behind(lambda x: x[:, :width], case.model)
    x, background = (torch.cat([v, v.roll(1, 0)], 1) for v in (case.x, case.background))
    phi = explain(model, x, case.y, background)
    return phi[:, width:], phi[:, :width]


def implementation_invariance(explain: Explain, case: Case) -> Deviation:
    """Two networks that are equal as functions get the same attributions."""
    one, other = (explain(model, case.x, case.y, case.background) for model in (case.model, case.equal))
    return one - other, one


def linearity(explain: Explain, case: Case) -> Deviation:
    """phi(a f + b g) = a phi(f) + b phi(g): f the explained score and g the next one, or ReLU(f) of a single score."""
    several = scores_of(case.model, case.x[:1]).shape[1:].numel() > 1
    model = case.model if several else nn.Sequential(case.model, Both())
    outputs = scores_of(model, case.x[:1]).shape[1]
    identity = torch.eye(outputs)
    weight = MIX[0] * identity + MIX[1] * identity.roll(1, 1)
    mixed = nn.Sequential(model, affine(weight.tolist(), [0.0] * outputs).to(case.x))
    one, other = (explain(model, case.x, y, case.background) for y in (case.y, (case.y + 1) % outputs))
    expected = MIX[0] * one + MIX[1] * other
    return explain(mixed, case.x, case.y, case.background) - expected, expected


def symmetry(explain: Explain, case: Case) -> Deviation:
    """Two features that the network treats alike, of equal values, get the same: every feature is there twice."""
    width = case.x.shape[1]
    model = behind(lambda x: (x[:, :width] + x[:, width:]) / 2, case.model)
    x, background = (torch.cat([v, v], 1) for v in (case.x, case.background))
    phi = explain(model, x, case.y, background)
    return phi[:, :width] - phi[:, width:], phi[:, :width]


AXIOMS: Mapping[str, Callable[[Explain, Case], Deviation]] = {
    axiom.__name__: axiom
    for axiom in (completeness, sensitivity, dummy, implementation_invariance, linearity, symmetry)
}


def violation(axiom: str, explains: Sequence[Explain], case: Case) -> tuple[float, float]:
    """The violation by the mean of several calls, and three standard errors of it: 0 where the calls draw nothing."""
    calls = []
    for explain in explains:
        calls.append(tuple(part.double().cpu() for part in AXIOMS[axiom](explain, case)))
        if len(calls) == 2 and all(map(torch.equal, *calls)):
            calls = calls[:1]
            break
    deviation, share_of = map(torch.stack, zip(*calls, strict=True))  # (R, ...)
    scale = size(share_of.mean(0)) or 1.0
    error = size(deviation.std(0)) / len(calls) ** 0.5 if len(calls) > 1 else 0.0
    return size(deviation.mean(0)) / scale, 3 * error / scale


def size(v: Tensor) -> float:
    """The root mean square of the elements."""
    return float(v.square().mean().sqrt())


@dataclass
class Axioms:
    """The violation of every axiom by every method, and what is tolerated.

    Rows (axiom, violation) and (axiom_tolerance, `tolerance` + three standard errors), labelled with the method
    (explain) and where it was measured (on): the "network", on `explained` test rows, or "closed forms".
    And f1, f2, g1, g2, the attributions of the counter-example at (3, 1). `methods`: name -> an attribution that lacks
    no more than its background and its generator.
    """

    methods: Mapping[str, Callable[..., Attribution]]
    explained: int
    repeats: int
    tolerance: float
    generator: torch.Generator

    def __post_init__(self) -> None:
        at_least_one(explained=self.explained, repeats=self.repeats)
        if not self.tolerance > 0:
            raise ValueError(f"evaluate.tolerance is a share above 0; found {self.tolerance!r}")

    def __call__(
        self, model: nn.Module, data: Dataset, explain: Attribution
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        trained, paper = self._case(model, data), counter_example()
        cases = {"closed forms": dict.fromkeys(AXIOMS, paper) | {"sensitivity": saturated()}}
        cases["network"] = dict.fromkeys(AXIOMS, trained)
        seeds = torch.randint(2**31, (self.repeats,), generator=self.generator).tolist()
        rows: list[Row] = []
        with torch.no_grad():
            for name, built in self.methods.items():
                explains = [cache(partial(phi_of, built, seed)) for seed in seeds]  # axioms share some calls
                for on, case_of in cases.items():
                    labels = {"explain": name, "on": on}
                    for axiom in AXIOMS:
                        value, error = violation(axiom, explains, case_of[axiom])
                        rows += [(axiom, value, labels), (f"{axiom}_tolerance", self.tolerance + error, labels)]
                labels = {"explain": name, "on": "closed forms"}
                for letter, network in (("f", paper.model), ("g", paper.equal)):
                    phis = [method(network, paper.x[:1], paper.y[:1], paper.background) for method in explains]
                    mean = torch.cat(phis).mean(0).tolist()
                    rows += [(f"{letter}{i}", value, labels) for i, value in enumerate(mean, 1)]
        return rows, {}

    def _case(self, model: nn.Module, data: Dataset) -> Case:
        chosen = torch.randperm(len(data.test), generator=self.generator)[: self.explained].to(data.test.x.device)
        y = data.test.y[chosen] if data.output == "classes" else torch.zeros_like(chosen)
        return Case(model, rewritten(model), data.test.x[chosen], y, data.train.x)


def phi_of(
    method: Callable[..., Attribution], seed: int, model: nn.Module, x: Tensor, y: Tensor, background: Tensor
) -> Tensor:
    """phi by the method with these references and draws of this seed."""
    draws = torch.Generator().manual_seed(seed)
    return complete(method, background=background, generator=draws)(model, x, y)
