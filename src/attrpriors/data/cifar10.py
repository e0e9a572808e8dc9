"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky 2009).

`load` reads the original archive, `load_jpeg` an archive of JPEG copies, which are not the same pixels.
The 10,000 published test images stay the test part; validation is carved from the 50,000 others by seed.
"""

import tarfile
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from PIL import Image

from attrpriors.data import Dataset, Provenance, Split
from attrpriors.data.download import File, verified
from attrpriors.data.unpickle import ARRAYS, unpickle

ORIGINAL = File(
    "cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
JPEG = File("cifar10-jpeg.tar.gz", "", "b8d22658b5a1be7a9bf0e21e1a989e0240061a7667cf74b19e5ef1918c6cfb66")
FILES = (ORIGINAL, JPEG)
# labels 0 to 9, in alphabetical order
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]

Images = tuple[np.ndarray, np.ndarray, np.ndarray]  # uint8 (N, 3, 32, 32), class (N,), name (N,): "test..."


def load(root: str = "data", train: int = 45_000, validation: int = 5_000, *, seed: int) -> Dataset:
    """The original images; `validation` and `train` of the 50,000 training images are drawn by seed.

    The validation images do not depend on `train`, and a smaller `train` is a part of a larger one.
    x is (N, 3, 32, 32), each channel with mean 0 and variance 1 on the train part.
    """
    images = read_batches(verified(root, ORIGINAL))
    provenance = Provenance("CIFAR-10", files={ORIGINAL.path: ORIGINAL.sha256})
    return dataset("cifar10", images, provenance, train, validation, seed)


def load_jpeg(root: str = "data", train: int = 45_000, validation: int = 5_000, *, seed: int) -> Dataset:
    """As `load`, from JPEG copies in another order: numbers are close to CIFAR-10's, not equal to them."""
    images = read_jpegs(verified(root, JPEG))
    provenance = Provenance("CIFAR-10", "JPEG copies of the images", {JPEG.path: JPEG.sha256})
    return dataset("cifar10_jpeg", images, provenance, train, validation, seed)


def read_batches(path: Path) -> Images:
    """The images of the original archive, whose members are pickles of Python 2.

    Read here and not by torchvision, which unpickles without an allow-list.
    """
    batches = {}
    with tarfile.open(path) as archive:
        for member in archive:  # in the order of the archive: it is packed as one stream
            name = member.name.removeprefix("cifar-10-batches-py/")
            if name in BATCHES:
                content = cast(IO[bytes], archive.extractfile(member))
                batches[name] = unpickle(content.read(), ARRAYS, encoding="latin1")
    images = np.concatenate([batches[name]["data"] for name in BATCHES]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batches[name]["labels"] for name in BATCHES])
    names = [f"{name}/{row}" for name in BATCHES for row in range(len(batches[name]["labels"]))]
    return images, labels, np.array(names)


def read_jpegs(path: Path) -> Images:
    """The images of an archive of train/CLASS/NUMBER.jpg and test/CLASS/NUMBER.jpg, in its order."""
    images, names = [], []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                images.append(np.asarray(Image.open(cast(IO[bytes], archive.extractfile(member)))))
                names.append(member.name)
    labels = np.array([CLASSES.index(name.split("/")[1]) for name in names])
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)), labels, np.array(names)


def dataset(name: str, images: Images, provenance: Provenance, train: int, validation: int, seed: int) -> Dataset:
    """Train and validation rows drawn by seed from the published training images, and all test images."""
    pixels, labels, names = images
    is_test = np.char.startswith(names, "test")
    published = np.flatnonzero(~is_test)
    if min(train, validation) < 1 or train + validation > len(published):
        raise ValueError(
            f"{name}: train={train} and validation={validation} must be at least 1 "
            f"and together at most {len(published)}, the number of training images"
        )
    order = np.random.default_rng(seed).permutation(published)
    train_rows, val_rows = order[validation : validation + train], order[:validation]
    train_pixels = torch.from_numpy(pixels[train_rows]).float()
    spread, centre = torch.std_mean(train_pixels, dim=(0, 2, 3), correction=0, keepdim=True)

    def part(rows: np.ndarray) -> Split:
        x = torch.from_numpy(pixels[rows]).float().sub_(centre).div_(spread)
        return Split(x, torch.from_numpy(labels[rows]).long(), names[rows])

    return Dataset(
        name=name,
        output="classes",
        outputs=len(CLASSES),
        train=part(train_rows),
        val=part(val_rows),
        test=part(np.flatnonzero(is_test)),
        provenance=provenance,
        classes=tuple(CLASSES),
    )
