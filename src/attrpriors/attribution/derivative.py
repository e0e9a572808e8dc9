"""Second derivatives without PyTorch's wasted work, for any model as it is.

Training through attributions takes a gradient of a gradient. PyTorch's double backward of ReLU-like activations and
poolings hands explicit zeros to the forward graph, so that a whole second backward pass of zeros runs through it; that
of a convolution forms the weight gradient by a slow transposed convolution. `Exact` is active while an attribution runs
the model: it replaces these operations by ones with the same values and derivatives, less the waste (an input of a
`...Unpool` is detached: no edge leads back to the forward graph). What it does not know keeps PyTorch's own.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

aten = torch.ops.aten


class MaxPool(torch.autograd.Function):
    """Max pooling of planes (B, C, H, W); `settings` are the arguments of max_pool2d after the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: tuple) -> Tensor:
        value, winner = aten.max_pool2d_with_indices(x, *settings)
        ctx.save_for_backward(x, winner)
        ctx.settings = settings
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        x, winner = ctx.saved_tensors
        return MaxUnpool.apply(grads[0], x.detach(), winner, ctx.settings), None


class MaxUnpool(torch.autograd.Function):
    """g sent back to the winners, linear in g."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, winner: Tensor, settings: tuple) -> Tensor:
        ctx.save_for_backward(winner)
        return aten.max_pool2d_with_indices_backward(g, x, *settings, winner)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (winner,) = ctx.saved_tensors
        return grads[0].flatten(2).gather(2, winner.flatten(2)).view_as(winner), None, None, None


class AveragePool(torch.autograd.Function):
    """Average pooling of planes (B, C, H, W); `settings` are the arguments of avg_pool2d after the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: tuple) -> Tensor:
        ctx.save_for_backward(x)
        ctx.settings = settings
        return aten.avg_pool2d(x, *settings)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return AverageUnpool.apply(grads[0], ctx.saved_tensors[0].detach(), ctx.settings), None


class AverageUnpool(torch.autograd.Function):
    """g spread over the averaged values, linear in g."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, settings: tuple) -> Tensor:
        ctx.settings = settings
        return aten.avg_pool2d_backward(g, x, *settings)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return AveragePool.apply(grads[0], ctx.settings), None, None


class Convolution(torch.autograd.Function):
    """Convolution whose input gradient is `InputGradient`. `settings`: stride, padding, dilation, groups."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, settings: tuple, owner: "Exact") -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings, ctx.owner, ctx.biased = settings, owner, bias is not None
        stride, padding, dilation, groups = settings
        return torch.convolution(x, weight, bias, stride, padding, dilation, False, [0] * len(stride), groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (g,) = grads
        dx = InputGradient.apply(g, weight, x.shape, ctx.settings) if ctx.needs_input_grad[0] else None
        if ctx.owner.explaining:  # only the input gradient is asked for, whatever requires_grad says
            return dx, None, None, None, None
        dw = WeightGradient.apply(g, x, weight.shape, ctx.settings) if ctx.needs_input_grad[1] else None
        db = g.sum((0, *range(2, g.ndim))) if ctx.biased and ctx.needs_input_grad[2] else None
        return dx, dw, db, None, None


def convolution_gradient(g: Tensor, x: Tensor, weight: Tensor, settings: tuple, wanted: int) -> Tensor:
    """The gradient of a convolution with respect to its input (wanted 0) or weight (wanted 1)."""
    stride, padding, dilation, groups = settings
    mask = [wanted == 0, wanted == 1, False]
    zero = [0] * len(stride)
    return aten.convolution_backward(g, x, weight, None, stride, padding, dilation, False, zero, groups, mask)[wanted]


class InputGradient(torch.autograd.Function):
    """d score / d x of a convolution, linear in g and in weight."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, shape: torch.Size, settings: tuple) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.settings = settings
        return convolution_gradient(g, g.new_empty(1).expand(shape), weight, settings, 0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        g, weight = ctx.saved_tensors
        (t,) = grads
        stride, padding, dilation, groups = ctx.settings
        dg = dw = None
        if ctx.needs_input_grad[0]:
            dg = torch.convolution(t, weight, None, stride, padding, dilation, False, [0] * len(stride), groups)
        if ctx.needs_input_grad[1]:
            dw = WeightGradient.apply(g, t, weight.shape, ctx.settings)
        return dg, dw, None, None


class WeightGradient(torch.autograd.Function):
    """d score / d weight of a convolution, linear in g and in x."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, shape: torch.Size, settings: tuple) -> Tensor:
        ctx.save_for_backward(g, x)
        ctx.settings = settings
        return convolution_gradient(g, x, g.new_empty(1).expand(shape), settings, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        g, x = ctx.saved_tensors
        (t,) = grads
        stride, padding, dilation, groups = ctx.settings
        dg = torch.convolution(x, t, None, stride, padding, dilation, False, [0] * len(stride), groups)
        return dg, InputGradient.apply(g, t, x.shape, ctx.settings), None, None


class Exact(TorchFunctionMode):
    """Active while an attribution runs the model; `explaining` while it takes the input gradient."""

    explaining = False

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = None
        if func in REPLACEMENTS and args and not torch.is_autocast_enabled(args[0].device.type):
            result = REPLACEMENTS[func](self, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if result is None else result


# A replacement returns None where it does not know the case: PyTorch's own operation then runs.


def relu(owner: Exact, x: Tensor, inplace: bool = False) -> Tensor | None:
    # g * d relu / d x with x in the place of g: the value, linear in x at constant slope
    return None if inplace else aten.threshold_backward(x, x.detach(), 0)


def leaky_relu(owner: Exact, x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor | None:
    return None if inplace else aten.leaky_relu_backward(x, x.detach(), negative_slope, False)


def hardtanh(
    owner: Exact, x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor | None:
    if inplace:
        return None
    fixed = x.detach()
    within = aten.hardtanh_backward(x, fixed, min_val, max_val)  # x between the bounds, else 0
    return within + (aten.hardtanh(fixed, min_val, max_val) - within.detach())


def relu6(owner: Exact, x: Tensor, inplace: bool = False) -> Tensor | None:
    return hardtanh(owner, x, 0.0, 6.0, inplace)


def max_pool2d(
    owner: Exact,
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    if return_indices or x.ndim != 4:
        return None
    return MaxPool.apply(x, (kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode))


def avg_pool2d(
    owner: Exact,
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor | None:
    if x.ndim != 4:
        return None
    stride = kernel_size if stride is None else stride
    return AveragePool.apply(x, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))


def convolution(
    owner: Exact,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if isinstance(padding, str) or x.ndim != weight.ndim:
        return None
    axes = weight.ndim - 2
    sizes = tuple([v] * axes if isinstance(v, int) else list(v) for v in (stride, padding, dilation))
    return Convolution.apply(x, weight, bias, (*sizes, groups), owner)


def batch_norm(
    owner: Exact,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    if training or running_mean is None or running_var is None:
        return None
    scale = (running_var + eps).rsqrt() * (1 if weight is None else weight)  # (C,)
    shift = (0 if bias is None else bias) - running_mean * scale
    plane = (1, -1) + (1,) * (x.ndim - 2)
    return torch.addcmul(shift.view(plane), x, scale.view(plane))


REPLACEMENTS: dict[Any, Callable[..., Tensor | None]] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu), relu),
    F.leaky_relu: leaky_relu,
    F.hardtanh: hardtanh,
    F.relu6: relu6,
    F.max_pool2d: max_pool2d,
    F.avg_pool2d: avg_pool2d,
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), convolution),
    F.batch_norm: batch_norm,
}
