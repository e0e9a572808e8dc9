"""Integrated gradients: one baseline, a quadrature rule (Sundararajan, Taly, Yan 2017, arXiv 1703.01365)."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from .gradient import at_least_one, target
from .path import column, path_sums

Rule = Literal["left", "right", "trapezoid", "gauss_legendre"]


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

    Eq. 1 of arXiv 1703.01365. `baseline`: a number or a tensor that broadcasts to one row of x.
    """

    def __init__(
        self, baseline: float | Tensor = 0.0, steps: int = 50, rule: Rule = "gauss_legendre", chunk: int = 512
    ) -> None:
        at_least_one(chunk=chunk)
        self.baseline, self.chunk = torch.as_tensor(baseline, dtype=torch.float64), chunk
        self.nodes, self.weights = quadrature(rule, steps)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        try:
            baseline = self.baseline.to(x).expand(1, *x.shape[1:])
        except RuntimeError as error:
            found, expected = tuple(self.baseline.shape), tuple(x.shape[1:])
            raise ValueError(f"the baseline is shaped {found}, a row of x {expected}") from error
        alpha, weight = (v.to(x).expand(len(x), -1) for v in (self.nodes, self.weights))
        index = torch.zeros(alpha.shape, dtype=torch.int64, device=x.device)

        def weighted(delta: Tensor, slope: Tensor, block: tuple[slice, slice]) -> tuple[Tensor, ...]:
            return ((column(weight[block], delta) * delta * slope).sum(1),)

        return path_sums(model, x, target(model, x, y, self.chunk), baseline, index, alpha, weighted, self.chunk)[0]
