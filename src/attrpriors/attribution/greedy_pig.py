"""Greedy path integrated gradients: select, reveal, integrate again (Axiotis et al. 2023, arXiv 2311.06192).

Letters: B batch, P coordinates (the pixels of images, else the features), *F features.
"""

import torch
from torch import Tensor, nn

from .control import evaluation_only
from .gradient import at_least_one, target
from .integrated import IntegratedGradients, Rule


class GreedyPIG:
    """Integrated gradients whose start grows: after each round it keeps the features with the largest attributions.

    Algorithm 1 of arXiv 2311.06192. Each round integrates from the baseline with all features chosen so far at their
    value in x, then chooses `per_round` more; the channels of a pixel are summed and chosen together. With v_i the
    attribution of i in the round r_i that chose it (the last round, if none did)

        phi_i = v_i + 3 (rounds - r_i) max_j |v_j|

    so that what was chosen earlier has the larger phi. One round gives integrated gradients; the cost is rounds * steps
    gradients a row. The other settings are those of IntegratedGradients. For evaluation only: a choice of features has
    no derivative.

    Shapes: x and phi (B, *F). Unit: score, less the shift of early rounds. Errors: ValueError where autograd is on, or
    on a setting out of range. Source: Axiotis et al. 2023 (arXiv 2311.06192, Algorithm 1).
    """

    def __init__(
        self,
        rounds: int = 20,
        per_round: int = 10,
        steps: int = 10,
        baseline: float | str | Tensor = 0.0,
        rule: Rule = "gauss_legendre",
        chunk: int = 512,
        background: Tensor | None = None,
        blur: float = 5.0,
    ) -> None:
        at_least_one(rounds=rounds, per_round=per_round)
        self.rounds, self.per_round = rounds, per_round
        self.path = IntegratedGradients(baseline, steps, rule, chunk, background, blur)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        evaluation_only("greedy_pig")
        y, baseline = target(model, x, y, self.path.chunk), self.path.baseline(x)
        phi = torch.zeros_like(x)
        left = torch.zeros_like(coordinates(x))  # (B, P) rounds that were left when it was chosen
        chosen = torch.zeros_like(left, dtype=torch.bool)
        for rest in reversed(range(self.rounds)):
            known = features(chosen, x)
            start = torch.where(known, x, baseline)
            phi = torch.where(known, phi, self.path.integral(model, x, y, start, panels=1))
            left = torch.where(chosen, left, rest)
            value = coordinates(phi).masked_fill(chosen, -torch.inf)
            chosen = chosen.scatter(1, value.topk(min(self.per_round, value.shape[1])).indices, True)
        shift = 3 * left * coordinates(phi).abs().amax(1, keepdim=True)
        return phi + features(shift, x) / (x.shape[1] if x.ndim == 4 else 1)


def coordinates(phi: Tensor) -> Tensor:
    """What is chosen as one: the pixels of phi (B, C, H, W), summed over the channels, else its features. (B, P)"""
    return (phi.sum(1) if phi.ndim == 4 else phi).flatten(1)


def features(v: Tensor, x: Tensor) -> Tensor:
    """v (B, P), one for each coordinate, in the form that broadcasts over x (B, *F)."""
    return v.reshape(len(x), 1, *x.shape[2:]) if x.ndim == 4 else v.reshape(x.shape)
