"""Integrated gradients: one baseline, a quadrature rule (Sundararajan, Taly, Yan 2017, arXiv 1703.01365).

Letters: B batch, K nodes of a path, *F features.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from .baseline import Baseline
from .gradient import at_least_one, evaluating, select, target
from .path import Block, column, path_sums

Rule = Literal["left", "right", "trapezoid", "gauss_legendre"]
PANELS = 64  # times the steps of a path, at most, where a tolerance asks for more


def quadrature(rule: Rule, steps: int) -> tuple[Tensor, Tensor]:
    """Nodes in [0, 1] and weights that sum to one, each (steps,)."""
    at_least_one(steps=steps)
    even = np.full(steps, 1 / steps)
    rules = {
        "left": lambda: (np.arange(steps) / steps, even),
        "right": lambda: (np.arange(1, steps + 1) / steps, even),
        "trapezoid": lambda: (np.linspace(0, 1, steps), np.convolve(np.full(steps - 1, 1 / (steps - 1)), [0.5, 0.5])),
        "gauss_legendre": lambda: _gauss_legendre(steps),
    }
    if rule not in rules:
        raise ValueError(f"rule is one of {', '.join(rules)}; found {rule!r}")
    if rule == "trapezoid" and steps < 2:
        raise ValueError("trapezoid needs 2 steps or more; found 1")
    nodes, weights = rules[rule]()
    return torch.tensor(nodes), torch.tensor(weights)


def _gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    return (nodes + 1) / 2, weights / 2


class IntegratedGradients:
    """phi_i = (x_i - b_i) * integral over alpha in [0, 1] of d score / d x_i at b + alpha (x - b), b the baseline.

    `baseline`, `background` and `blur` as of Baseline: a number, a row, "mean" or "blurred".

    `tolerance`: double the steps of a row until its completeness gap is at most this share of its sum of |phi|;
    at evaluation only, at most 64 times the steps (`integrate` tells what gap is left).

    Shapes: x and phi (B, *F). Unit: score; sum phi = score at x less score at b. Errors: ValueError on a setting out
    of range, a baseline that is not shaped like a row of x, or a y that names no score.
    Source: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365, sec. 3).
    """

    def __init__(
        self,
        baseline: float | str | Tensor = 0.0,
        steps: int = 50,
        rule: Rule = "gauss_legendre",
        chunk: int = 512,
        background: Tensor | None = None,
        blur: float = 5.0,
        tolerance: float | None = None,
    ) -> None:
        at_least_one(chunk=chunk)
        if tolerance is not None and not tolerance > 0:
            raise ValueError(f"tolerance is a share above 0; found {tolerance!r}")
        self.baseline, self.chunk, self.tolerance = Baseline(baseline, background, blur), chunk, tolerance
        self.nodes, self.weights = quadrature(rule, steps)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        if self.tolerance is None or torch.is_grad_enabled():
            return self.integral(model, x, target(model, x, y, self.chunk), self.baseline(x), panels=1)
        return self.integrate(model, x, y)[0]

    def integrate(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """phi, shaped like x, and its completeness gap sum phi - (f(x) - f(b)), plain numbers (B,)."""
        y, baseline = target(model, x, y, self.chunk), self.baseline(x)
        phi = self.integral(model, x, y, baseline, panels=1)
        change = self._score(model, x, y) - self._score(model, baseline, y)  # (B,)
        gap, panels = phi.detach().flatten(1).sum(1) - change, 1
        while self.tolerance is not None and not torch.is_grad_enabled() and panels < PANELS:
            wide = (gap.abs() > self.tolerance * phi.abs().flatten(1).sum(1)).nonzero().squeeze(1)
            if not len(wide):
                break
            panels *= 2
            part = None if y is None else y[wide]
            phi[wide] = self.integral(model, x[wide], part, baseline[wide], panels)
            gap[wide] = phi[wide].flatten(1).sum(1) - change[wide]
        return phi, gap

    def integral(self, model: nn.Module, x: Tensor, y: Tensor | None, baseline: Tensor, panels: int) -> Tensor:
        """phi by the rule in each of `panels` equal parts of the path."""
        nodes = (torch.arange(panels)[:, None] + self.nodes).flatten() / panels  # (K,)
        alpha, weight = (v.to(x).expand(len(x), -1) for v in (nodes, self.weights.repeat(panels) / panels))
        index = torch.arange(len(x), device=x.device)[:, None].expand(alpha.shape)

        def weighted(delta: Tensor, slope: Tensor, block: Block) -> tuple[Tensor, ...]:
            return ((column(weight[block], delta) * delta * slope).sum(1),)

        return path_sums(model, x, y, baseline, index, alpha, weighted, self.chunk)[0]

    def _score(self, model: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
        """The explained score of each row (B,), without a graph."""
        with torch.no_grad(), evaluating(model):
            return select(torch.cat([model(part) for part in x.split(self.chunk)]), y)
