"""ATTRIBUTION: attribution(model, x, y) -> phi, shaped like x.

Where autograd is on, phi can be trained through; under `torch.no_grad()` it is plain numbers in bounded memory.
`y` says which score is explained: with several scores the class y (N integers), or the predicted class where
y is None; with one score, shaped (B,) or (B, 1), that score, whatever y is. The model is run in eval mode and
given back as it was, so that no layer mixes examples.

gradient, smoothgrad: input gradients. path: sums along straight paths. integrated, expected: the two path methods.
scale: any of them, of a probability or a log-probability. For evaluation only are greedy_pig: integrated, round after
round; control: random attributions; peer: methods of captum.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from .control import Random
from .expected import ExpectedGradients
from .gradient import Gradient, InputXGradient
from .greedy_pig import GreedyPIG
from .integrated import IntegratedGradients
from .scale import OnScale
from .smoothgrad import SmoothGrad

__all__ = [
    "Attribution",
    "ExpectedGradients",
    "Gradient",
    "GreedyPIG",
    "InputXGradient",
    "IntegratedGradients",
    "OnScale",
    "Random",
    "SmoothGrad",
]


class Attribution(Protocol):
    """What the other rooms ask of an attribution: attribution(model, x, y) -> phi.

    Shapes: x (B, *F); y (B,) whole numbers, the class whose score is explained, or None: the predicted class, or the
    only score; phi as x. Unit: the model's score, before softmax, of one row.
    """

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor: ...


def of_members(attributions: Sequence[Attribution]) -> Attribution:
    """One attribution for an ensemble, whose members' rows are blocks of the batch: each keeps its own draws."""
    first = attributions[0]
    if isinstance(first, ExpectedGradients):
        return ExpectedGradients.of_members(attributions)  # type: ignore[arg-type]
    if isinstance(first, OnScale):
        return first.around(of_members([one.attribution for one in attributions]))  # type: ignore[attr-defined]
    if hasattr(first, "generator"):
        raise ValueError(
            f"train=ensemble trains through attributions without draws, or expected_gradients; "
            f"found {type(first).__name__}"
        )
    rows = [one.baseline.row for one in attributions if isinstance(one, IntegratedGradients)]
    if any(row is not None and rows[0] is not None and not torch.equal(row, rows[0]) for row in rows):
        raise ValueError("train=ensemble trains through integrated_gradients of one baseline for all members")
    return first
