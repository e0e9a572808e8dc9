"""Images of one's own: a folder with train/CLASS/... and test/CLASS/..., as torchvision's ImageFolder reads."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from attrpriors.data import Dataset, Provenance, Split


def load(path: str, size: int = 32, validation: float = 0.1, *, seed: int) -> Dataset:
    """Colour images squeezed or stretched to `size` x `size` pixels; test/ stays the test part.

    `validation` is the share of train/ that is drawn by seed for validation. x is (N, 3, size, size), each
    channel with mean 0 and variance 1 on the train part. Classes are numbered in alphabetical order.
    """
    if not 0 < validation < 1:
        raise ValueError(f"image_folder: validation={validation} must lie between 0 and 1")
    folders = [opened(Path(path) / name) for name in ("train", "test")]
    classes, test_classes = (folder.classes for folder in folders)
    if classes != test_classes or len(classes) < 2:
        raise ValueError(
            f"image_folder: train/ and test/ of {path} must hold the same two or more classes, "
            f"found {classes} and {test_classes}"
        )
    (*published, digest), (*test, test_digest) = (read(folder, size) for folder in folders)
    order = np.random.default_rng(seed).permutation(len(published[0]))
    held_out = round(validation * len(order))
    train, val = ([each[rows] for each in published] for rows in (order[held_out:], order[:held_out]))
    spread, centre = torch.std_mean(torch.from_numpy(train[0]).float(), (0, 2, 3), correction=0, keepdim=True)

    def part(images: np.ndarray, labels: np.ndarray, names: np.ndarray) -> Split:
        x = torch.from_numpy(images).float().sub_(centre).div_(spread)
        return Split(x, torch.from_numpy(labels).long(), names)

    return Dataset(
        name="image_folder",
        output="classes",
        outputs=len(classes),
        train=part(*train),
        val=part(*val),
        test=part(*test),
        provenance=Provenance(f"images of {Path(path).name}", files={"train": digest, "test": test_digest}),
    )


def opened(folder: Path) -> ImageFolder:
    if not folder.is_dir():
        raise FileNotFoundError(f"image_folder: {folder} is not a folder; images are read from train/ and test/")
    try:
        return ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"image_folder: {folder} holds no images of some class ({error})") from error


def read(folder: ImageFolder, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Images uint8 (N, 3, size, size), classes (N,), names (N,) and one sha256 of all names and bytes."""
    above = Path(folder.root).parent
    images, names, digest = [], [], hashlib.sha256()
    for path in (Path(path) for path, _ in folder.samples):
        content = path.read_bytes()
        names.append(path.relative_to(above).as_posix())
        digest.update(f"{names[-1]} {len(content)} ".encode() + content)
        try:
            images.append(np.asarray(Image.open(BytesIO(content)).convert("RGB").resize((size, size))))
        except OSError as error:
            raise ValueError(f"image_folder: {path} cannot be read as an image ({error})") from error
    pixels = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return pixels, np.array(folder.targets), np.array(names), digest.hexdigest()
