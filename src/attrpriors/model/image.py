"""IMAGE: the deep networks of images, VGG16 and ResNet18."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from ..data import Dataset


def image_shape(data: Dataset, model: str) -> tuple[int, int, int]:
    """(C, H, W), or one sentence where the data set does not hold images."""
    if len(data.shape) != 3:
        raise ValueError(
            f"{model} needs images (channels, height, width); {data.name} has features of shape {data.shape}"
        )
    return data.shape[0], data.shape[1], data.shape[2]


def group_norm(channels: int, groups: int) -> nn.Module:
    """Normalisation within one example, so that attributions of one row do not depend on the others."""
    return nn.GroupNorm(groups, channels)


VGG16 = (64, 128, 256, 512, 512)  # channels of the five blocks between poolings


def vgg_blocks(channels: Sequence[int]) -> list[int | str]:
    """VGG16's layers as torchvision writes them, blocks of 2, 2, 3, 3 and 3 convolutions, with the given `channels`."""
    if len(channels) != 5:
        raise ValueError(f"vgg16 has five blocks with channels; found {list(channels)}")
    layers: list[int | str] = []
    for units, count in zip(channels, (2, 2, 3, 3, 3), strict=True):
        layers += [*[units] * count, "M"]
    return layers


def vgg16(
    data: Dataset, groups: int = 32, hidden: int = 512, dropout: float = 0.5, channels: Sequence[int] = VGG16
) -> nn.Module:
    """VGG16 for small images (Liu and Deng 2015): torchvision's layers, group normalisation, one hidden layer."""
    width, height, breadth = image_shape(data, "vgg16")
    if min(height, breadth) < 32:
        raise ValueError(f"vgg16 needs images of 32 x 32 or more; {data.name} has {height} x {breadth}")
    layers: list[nn.Module] = []
    for units in vgg_blocks(channels):
        if isinstance(units, str):
            layers += [nn.MaxPool2d(2)]
            height, breadth = height // 2, breadth // 2
        else:
            layers += [nn.Conv2d(width, units, 3, padding=1), group_norm(units, groups), nn.ReLU()]
            width = units
    layers += [nn.Flatten(), nn.Linear(width * height * breadth, hidden), nn.ReLU(), nn.Dropout(dropout)]
    return initialised(nn.Sequential(*layers, nn.Linear(hidden, data.outputs)))


def vgg16_imagenet(
    data: Dataset,
    pretrained: str | None = None,
    hidden: int = 4096,
    dropout: float = 0.5,
    channels: Sequence[int] = VGG16,
) -> nn.Module:
    """VGG16 as torchvision has it (Simonyan and Zisserman 2015, arXiv 1409.1556), for photographs of 224 x 224.

    Its parameters bear torchvision's names: `pretrained` is a file of them, or the weights of a run. Where that file
    has other classes, the last layer starts anew.
    """
    width, height, breadth = image_shape(data, "vgg16_imagenet")
    if width != 3 or min(height, breadth) < 32:
        raise ValueError(f"vgg16_imagenet needs colour images of 32 x 32 or more; {data.name} has {data.shape}")
    dense: list[nn.Module] = [nn.Linear(7 * 7 * channels[-1], hidden), nn.ReLU(), nn.Dropout(dropout)]
    dense += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, data.outputs)]
    features = torchvision.models.vgg.make_layers(vgg_blocks(channels))
    parts = {"features": features, "avgpool": nn.AdaptiveAvgPool2d(7), "flatten": nn.Flatten()}
    model = initialised(nn.Sequential(OrderedDict(parts | {"classifier": nn.Sequential(*dense)})))
    if pretrained:
        begin_from(model, Path(pretrained))
    return model


def initialised(model: nn.Module) -> nn.Module:
    """`model` with the initial weights of torchvision's VGG16: from PyTorch's own it learned nothing by SGD at 0.05."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.01)
        else:
            continue
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return model


def begin_from(model: nn.Module, path: Path) -> None:
    """Give `model` the parameters in a file of PyTorch or safetensors; its last layer only where it fits."""
    if not path.is_file():
        raise FileNotFoundError(f"model.pretrained: {path} is not a file")
    known = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    own = model.state_dict()
    last = [name for name in list(own)[-2:] if name in known and known[name].shape != own[name].shape]
    kept = {name: value for name, value in known.items() if name not in last} | {name: own[name] for name in last}
    try:
        model.load_state_dict(kept)
    except RuntimeError as error:
        raise ValueError(f"model.pretrained: {path} holds other parameters than this model: {error}") from error


def resnet18(data: Dataset, groups: int = 32) -> nn.Module:
    """torchvision's ResNet18 with the CIFAR stem (3 x 3 convolution, no pooling) and group normalisation."""
    width, _, _ = image_shape(data, "resnet18")
    model = torchvision.models.resnet18(num_classes=data.outputs, norm_layer=partial(group_norm, groups=groups))
    model.conv1 = nn.Conv2d(width, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model
