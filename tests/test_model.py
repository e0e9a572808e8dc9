from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from attrpriors.data import Dataset, Provenance, Split
from attrpriors.model import cnn, linear, mlp, resnet18, vgg16, vgg16_imagenet

SMALL: dict[str, Callable[[Dataset], nn.Module]] = {
    "linear": linear,
    "mlp": partial(mlp, hidden=[5, 4], dropout=0.5),
    "cnn": partial(cnn, channels=[2, 3], hidden=6),
    "cnn without normalisation": partial(cnn, channels=[2, 3], hidden=6, kernel=3, dropout=0.0, batch_norm=False),
}


def pictures(size: int, channels: int = 3) -> Dataset:
    """Two images of each part, `channels` x size x size, of ten classes."""
    x = torch.rand(6, channels, size, size, generator=torch.Generator().manual_seed(0))
    parts = [Split(x[i : i + 2], torch.tensor([i, 9]), torch.tensor([i, i + 1]).numpy()) for i in (0, 2, 4)]
    return Dataset("pictures", "classes", 10, *parts, Provenance("made up"))


@pytest.fixture(scope="module", params=[partial(vgg16, hidden=16, dropout=0.0), resnet18], ids=["vgg16", "resnet18"])
def deep(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return request.param(pictures(32))


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_a_model_gives_a_score_for_every_row_and_output(
    name: str, images: Dataset, binary: Dataset, regression: Dataset
) -> None:
    for data, outputs in [(images, 3)] + [(binary, 1), (regression, 1)] * (not name.startswith("cnn")):
        assert SMALL[name](data)(data.train.x).shape == (len(data.train), outputs)


@pytest.mark.parametrize("name", SMALL)
def test_in_eval_mode_a_rows_scores_do_not_depend_on_the_other_rows(name: str, images: Dataset) -> None:
    torch.manual_seed(0)
    model, x = SMALL[name](images), images.train.x
    model(x)  # moves the statistics of BatchNorm, where there is one
    whole = model.eval()(x)
    torch.testing.assert_close(torch.cat([model(row[None]) for row in x]), whole)
    assert whole.std(0).min() > 1e-4


def test_deep_models_do_not_mix_examples_in_any_mode(deep: nn.Module) -> None:
    x = pictures(32).train.x
    with torch.no_grad():
        whole = deep.train()(x)
        alone = torch.cat([deep(row[None]) for row in x])
        evaluated = deep.eval()(x)
    assert whole.shape == (2, 10)
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(evaluated, whole, atol=1e-5, rtol=1e-4)


def test_deep_models_are_the_published_ones(deep: nn.Module) -> None:
    convolutions = [module for module in deep.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions[0].kernel_size == (3, 3)
    assert convolutions[0].stride == (1, 1)
    if hasattr(deep, "fc"):  # ResNet18: torchvision's 11,689,512, less the stem's 7 x 7, less 990 classes
        assert parameters(deep) == 11_689_512 - 64 * 3 * (49 - 9) - 990 * 513
    else:  # VGG16: 13 convolutions (14,714,688), a scale and a shift for each of their 4,224 channels, 512-16-10
        assert len(convolutions) == 13
        assert parameters(deep) == 14_714_688 + 2 * 4_224 + 513 * 16 + 17 * 10


def test_the_cnn_is_the_authors_mnist_net() -> None:
    for batch_norm, extra in ((False, 1), (True, 2)):  # a unit's bias, or BatchNorm's scale and shift
        model = cnn(pictures(28, channels=1), channels=[32, 64], hidden=1024, batch_norm=batch_norm)
        hidden = (25 + extra) * 32 + (25 * 32 + extra) * 64 + (7 * 7 * 64 + extra) * 1024
        assert parameters(model) == hidden + 1025 * 10


def test_a_linear_model_has_one_weight_for_every_feature_and_score(images: Dataset) -> None:
    assert parameters(linear(images)) == 65 * 3


@pytest.mark.parametrize(
    ("name", "build"), [("cnn", partial(cnn, channels=[2], hidden=4)), ("vgg16", vgg16), ("resnet18", resnet18)]
)
def test_networks_for_images_refuse_tables(name: str, build: Callable[[Dataset], nn.Module], binary: Dataset) -> None:
    with pytest.raises(ValueError, match=rf"^{name} needs images .* binary has features of shape \(6,\)$"):
        build(binary)


def test_vgg16_refuses_small_images() -> None:
    with pytest.raises(ValueError, match=r"^vgg16 needs images of 32 x 32 or more; pictures has 28 x 28$"):
        vgg16(pictures(28))


def test_vgg16_of_few_channels_keeps_its_layers() -> None:
    model = vgg16(pictures(32), groups=2, hidden=8, channels=[2, 4, 6, 8, 10])
    widths = [layer.out_channels for layer in model if isinstance(layer, nn.Conv2d)]
    assert widths == [2, 2, 4, 4, 6, 6, 6, 8, 8, 8, 10, 10, 10]
    with pytest.raises(ValueError, match=r"^vgg16 has five blocks with channels; found \[8, 8\]$"):
        vgg16(pictures(32), channels=[8, 8])


# VGG16 for photographs

FEW = {"hidden": 6, "channels": [2, 2, 2, 2, 3]}


def test_vgg16_for_photographs_has_the_parameters_of_torchvisions_by_name_and_shape() -> None:
    data = pictures(32)
    with torch.device("meta"):  # 138 million parameters, none of them made
        models = vgg16_imagenet(data), torchvision.models.vgg16(num_classes=10)
    own, theirs = ({name: value.shape for name, value in model.state_dict().items()} for model in models)
    assert own == theirs
    layers = [[layer for layer in model.modules() if not list(layer.children())] for model in models]
    kinds, expected = ([type(layer) for layer in some if not isinstance(layer, nn.Flatten)] for some in layers)
    assert kinds == expected  # torchvision's flattens in its forward pass


@pytest.mark.parametrize("build", [vgg16, vgg16_imagenet], ids=["vgg16", "vgg16_imagenet"])
def test_vgg16_begins_as_torchvisions(build: Callable[..., nn.Module]) -> None:
    torch.manual_seed(0)
    model = build(pictures(32), channels=[32, 32, 32, 64, 64], hidden=300)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_out = layer.weight[:, 0].numel()
            expected = (2 / fan_out) ** 0.5 if isinstance(layer, nn.Conv2d) else 0.01
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.1)
            assert not layer.bias.any()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_vgg16_for_photographs_begins_from_pretrained_weights(name: str, tmp_path: Path) -> None:
    data = pictures(40)
    first, path = vgg16_imagenet(data, **FEW).eval(), tmp_path / name
    (torch.save if name.endswith("pth") else save_file)(first.state_dict(), path)
    again = vgg16_imagenet(data, pretrained=str(path), **FEW).eval()
    scores = first(data.train.x)
    assert scores.shape == (2, 10)
    assert torch.equal(again(data.train.x), scores)


def test_of_other_classes_the_last_layer_starts_anew(tmp_path: Path) -> None:
    data, path = pictures(32), tmp_path / "weights.pth"
    torch.save(vgg16_imagenet(data, **FEW).state_dict(), path)
    known = torch.load(path)
    own = vgg16_imagenet(replace(data, outputs=12), pretrained=str(path), **FEW).state_dict()
    assert [name for name in own if own[name].shape != known[name].shape] == [
        "classifier.6.weight",
        "classifier.6.bias",
    ]
    assert all(torch.equal(own[name], known[name]) for name in own if not name.startswith("classifier.6"))


def test_pretrained_weights_that_are_not_there_or_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^model\.pretrained: .*nothing\.pth is not a file$"):
        vgg16_imagenet(pictures(32), pretrained=str(tmp_path / "nothing.pth"), **FEW)
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth holds other parameters than this model"):
        vgg16_imagenet(pictures(32), pretrained=str(tmp_path / "other.pth"), **FEW)


def test_vgg16_for_photographs_refuses_other_images() -> None:
    for data, shape in ((pictures(28), r"\(3, 28, 28\)"), (pictures(32, channels=1), r"\(1, 32, 32\)")):
        with pytest.raises(ValueError, match=rf"^vgg16_imagenet needs colour images of 32 x 32 or more; .* {shape}$"):
            vgg16_imagenet(data, **FEW)


def test_the_cnn_refuses_images_that_its_poolings_use_up() -> None:
    with pytest.raises(ValueError, match=r"^cnn with 3 poolings needs images of 8 x 8 or more; pictures has 7 x 7$"):
        cnn(pictures(7), channels=[2, 2, 2], hidden=4)
