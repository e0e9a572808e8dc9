"""What an attribution has to beat, and what none that is evaluated only may be used for."""

import torch
from torch import Tensor, nn


def evaluation_only(method: str) -> None:
    """ValueError where autograd is on: a penalty on phi would not reach the model's parameters."""
    if torch.is_grad_enabled():
        raise ValueError(
            f"{method} cannot be trained through, it gives no gradient to the model's parameters: "
            "use it as explain, or under torch.no_grad()"
        )


class Random:
    """phi is standard normal, drawn from `generator` (a CPU generator), whatever the model: a control.

    Shapes: x and phi (B, *F). Unit: none. Errors: ValueError where autograd is on: nothing reaches the model.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator or torch.Generator().manual_seed(0)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        evaluation_only("random")
        return torch.randn(x.shape, generator=self.generator, dtype=x.dtype).to(x.device)
