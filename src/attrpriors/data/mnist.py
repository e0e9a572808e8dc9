"""MNIST: 70,000 handwritten digits, 28 x 28 grey pixels (LeCun, Cortes, Burges).

The 10,000 published test images stay the test part; validation is carved from the 60,000 others by seed.
"""

import gzip
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from attrpriors.data import Dataset, Provenance, Split
from attrpriors.data.download import File, verified

ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # torchvision's copy of the original files
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
FILES = tuple(File(f"MNIST/raw/{name}", ADDRESS + name, sha256) for name, sha256 in SHA256.items())


def load(root: str = "data", train: int = 55_000, validation: int = 5_000, *, seed: int) -> Dataset:
    """`validation` and `train` of the 60,000 training images, drawn by seed, and all test images.

    The validation images do not depend on `train`, and a smaller `train` is a part of a larger one.
    x is (N, 1, 28, 28) in [-0.5, 0.5].
    """
    return from_idx("mnist", Provenance("MNIST"), FILES, root, train, validation, seed)


def from_idx(
    name: str, source: Provenance, files: Sequence[File], root: str, train: int, validation: int, seed: int
) -> Dataset:
    """The same of `files` in the format of MNIST: images and labels of training, images and labels of the test."""
    # torchvision would read uncompressed copies without checking them; these are the verified bytes
    images, labels, test_images, test_labels = (read_idx(verified(root, file).read_bytes()) for file in files)
    if min(train, validation) < 1 or train + validation > len(images):
        raise ValueError(
            f"{name}: train={train} and validation={validation} must be at least 1 "
            f"and together at most {len(images)}, the number of training images"
        )
    order = np.random.default_rng(seed).permutation(len(images))

    def part(rows: np.ndarray) -> Split:
        unit = np.array([f"train/{row}" for row in rows])
        return Split(scaled(images[rows]), torch.from_numpy(labels[rows]).long(), unit)

    return Dataset(
        name=name,
        output="classes",
        outputs=10,
        train=part(order[validation : validation + train]),
        val=part(order[:validation]),
        test=Split(
            scaled(test_images),
            torch.from_numpy(test_labels).long(),
            np.array([f"test/{row}" for row in range(len(test_images))]),
        ),
        provenance=replace(source, files={file.path: file.sha256 for file in files}),
    )


def read_idx(content: bytes) -> np.ndarray:
    """The uint8 array of a gzipped idx file: two zeros, type, number of axes, their lengths, the values."""
    content = gzip.decompress(content)
    shape = np.frombuffer(content, ">i4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy()


def scaled(images: np.ndarray) -> Tensor:
    """Grey values 0 to 255 (N, 28, 28) as (N, 1, 28, 28) in [-0.5, 0.5], the range of the authors' code."""
    return (torch.from_numpy(images).float() / 255 - 0.5).unsqueeze(1)
