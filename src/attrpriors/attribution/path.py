"""Sums along straight paths from references to inputs: what integrated and expected gradients share.

Letters: B batch, K points of a row's paths, N rows of the background, *F features.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from .gradient import gradient

Block = tuple[slice, slice]  # rows of the batch, points of their paths
Statistic = Callable[[Tensor, Tensor, Block], tuple[Tensor, ...]]


def path_sums(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None,
    background: Tensor,
    index: Tensor,
    alpha: Tensor,
    statistic: Statistic,
    chunk: int,
) -> list[Tensor]:
    """Sums over K of `statistic(delta, slope, block)`, each (B, *F).

    delta = x - r and slope = d score / d point at r + alpha (x - r) are (b, k, *F) for a block; r = background[index].
    x (B, *F), background (N, *F), index and alpha (B, K). With no graph to keep, a block holds at most `chunk` points.
    """
    rows, steps = index.shape
    height = rows if torch.is_grad_enabled() else min(rows, chunk)
    width = steps if torch.is_grad_enabled() else max(1, chunk // height)
    sums = []
    for part in _slices(rows, height):
        total: tuple[Tensor, ...] = ()
        for block in ((part, points) for points in _slices(steps, width)):
            target = None if y is None else y[part]
            delta, slope = _block(model, x[part], target, background[index[block]].to(x.dtype), alpha[block])
            added = statistic(delta, slope, block)
            total = tuple(map(torch.add, total, added)) if total else added
        sums.append(total)
    return list(sums[0]) if len(sums) == 1 else [torch.cat(column) for column in zip(*sums, strict=True)]


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def _block(model: nn.Module, x: Tensor, y: Tensor | None, reference: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    delta = x[:, None] - reference  # (b, k, *F)
    points = (reference + column(alpha, delta) * delta).flatten(0, 1)  # (b*k, *F)
    y = None if y is None else y.repeat_interleave(alpha.shape[1], 0)  # (b*k,)
    return delta, gradient(model, points, y).reshape(delta.shape)


def column(v: Tensor, like: Tensor) -> Tensor:
    """v with axes of one behind its own, so that it broadcasts over the features of `like`."""
    return v.reshape(*v.shape, *(1,) * (like.ndim - v.ndim))
