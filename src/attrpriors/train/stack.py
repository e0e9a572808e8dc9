"""STACK: networks of one shape as one network; M members, rows of a member in one block of the batch (M*B, *F)."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

MIXING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.RReLU)  # rows, or draws of members


class StackedLinear(nn.Module):
    """Members' linear layers: block m of x (M*B, in) meets weight m (M, out, in)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.stack([bias.detach() for bias in biases])) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        blocks = x.unflatten(0, (len(self.weight), -1))  # (M, B, in)
        if self.bias is None:
            return torch.bmm(blocks, self.weight.mT).flatten(0, 1)
        return torch.baddbmm(self.bias[:, None], blocks, self.weight.mT).flatten(0, 1)


class StackedDropout(nn.Module):
    """Dropout of each block, at its own rate, from the member's own state of the global generator, as if alone."""

    def __init__(self, rates: Sequence[float], states: list[Tensor]) -> None:
        super().__init__()
        self.rates, self.states = rates, states

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        blocks = []
        with torch.random.fork_rng(devices=[]):
            for member, block in enumerate(x.unflatten(0, (len(self.states), -1))):
                torch.set_rng_state(self.states[member])
                blocks.append(F.dropout(block, self.rates[member]))
                self.states[member] = torch.get_rng_state()
        return torch.cat(blocks)


def stack(models: Sequence[nn.Module], states: Sequence[Tensor]) -> nn.Module:
    """One network of `models`, which are alike but for their weights; `states` draw the members' dropout.

    Its layers are linear, dropout, or without weights and row by row. ValueError for any other.
    """
    first = models[0]
    if len(list(first.named_parameters(remove_duplicate=False))) > len(list(first.parameters())):
        raise ValueError("train=ensemble trains networks whose layers share no weights; some here do")
    return _stack(models, list(states))


def _stack(modules: Sequence[nn.Module], states: list[Tensor]) -> nn.Module:
    first = modules[0]
    if type(first) is nn.Linear:  # not a layer that is made of one
        return StackedLinear(modules)  # type: ignore[arg-type]
    if type(first) is nn.Dropout:
        return StackedDropout([module.p for module in modules], states)  # type: ignore[misc]
    if [*first.parameters(recurse=False), *first.buffers(recurse=False)] or isinstance(first, MIXING):
        raise ValueError(f"train=ensemble trains networks of linear layers; found {type(first).__name__}")
    whole = copy.deepcopy(first)
    for name in first._modules:  # named_children() would leave out the second place of a layer
        setattr(whole, name, _stack([module.get_submodule(name) for module in modules], states))
    return whole


def unstack(whole: nn.Module, models: Sequence[nn.Module]) -> None:
    """Give each of `models` its weights of `whole`."""
    state = whole.state_dict()
    for member, model in enumerate(models):
        model.load_state_dict({name: value[member] for name, value in state.items()})
