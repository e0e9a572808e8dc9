"""SmoothGrad: the mean input gradient under noise (Smilkov et al. 2017, arXiv 1706.03825).

Letters: B batch, K noisy copies of a row, *F features.
"""

import torch
from torch import Tensor, nn

from .gradient import at_least_one, gradient, target


class SmoothGrad:
    """phi = E over z of d score / d x at x + z, z normal with standard deviation `noise`, in the unit of the inputs.

    `k` draws for each row of x, from `generator` (a CPU generator). With no graph to keep, at most `chunk` noisy
    copies, or the k of one row, are held at once.

    Shapes: x and phi (B, *F). Unit: score per unit of x. Errors: ValueError where `k` or `chunk` is below 1 or `noise`
    not above 0. Source: Smilkov, Thorat, Kim, Viégas, Wattenberg 2017 (arXiv 1706.03825, sec. 2).
    """

    def __init__(
        self, k: int = 50, noise: float = 0.15, generator: torch.Generator | None = None, chunk: int = 512
    ) -> None:
        at_least_one(k=k, chunk=chunk)
        if not noise > 0:
            raise ValueError(f"noise is a standard deviation above 0; found {noise!r}")
        self.k, self.noise, self.chunk = k, noise, chunk
        self.generator = generator or torch.Generator().manual_seed(0)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        y, phi = target(model, x, y, self.chunk), []
        for rows in torch.arange(len(x)).split(max(1, self.chunk // self.k)):
            points, row = self._noisy(x[rows]), rows.repeat_interleave(self.k)  # (b*K, *F), (b*K,)
            slopes = [
                gradient(model, points[part], None if y is None else y[row[part]])
                for part in torch.arange(len(points)).split(self.chunk)
            ]
            phi.append(torch.cat(slopes).unflatten(0, (len(rows), self.k)).mean(1))
        return torch.cat(phi)

    def _noisy(self, x: Tensor) -> Tensor:
        """Noisy copies of the rows x (b, *F), those of a row together; each row draws its own, whatever the chunk."""
        shape = (self.k, *x.shape[1:])
        draws = torch.stack([torch.randn(shape, generator=self.generator, dtype=x.dtype) for _ in x])  # (b, K, *F)
        return (x[:, None] + self.noise * draws.to(x.device)).flatten(0, 1)
