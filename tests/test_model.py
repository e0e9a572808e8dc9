from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from attrpriors.data import Dataset, Provenance, Split
from attrpriors.model import cnn, linear, mlp, resnet18, vgg16

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


def test_the_cnn_refuses_images_that_its_poolings_use_up() -> None:
    with pytest.raises(ValueError, match=r"^cnn with 3 poolings needs images of 8 x 8 or more; pictures has 7 x 7$"):
        cnn(pictures(7), channels=[2, 2, 2], hidden=4)
