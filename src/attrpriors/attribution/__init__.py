"""ATTRIBUTION: attribution(model, x, y) -> phi, shaped like x.

Where autograd is on, phi can be trained through; under `torch.no_grad()` it is plain numbers in bounded memory.
`y` says which score is explained: with several scores the class y (N integers), or the predicted class where
y is None; with one score, shaped (B,) or (B, 1), that score, whatever y is. The model is run in eval mode and
given back as it was, so that no layer mixes examples.

gradient: one input gradient. path: sums along straight paths. integrated, expected: the two path methods.
"""

from typing import Protocol

from torch import Tensor, nn

from .expected import ExpectedGradients
from .gradient import Gradient, InputXGradient
from .integrated import IntegratedGradients

__all__ = ["Attribution", "ExpectedGradients", "Gradient", "InputXGradient", "IntegratedGradients"]


class Attribution(Protocol):
    """What the other rooms ask of an attribution."""

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor: ...
