"""Images of one's own: folders of classes, as torchvision's ImageFolder reads, split here or by their owner."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.model_selection import train_test_split
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from attrpriors.data import Dataset, Provenance, Rows, Scale, Split

Pictures = tuple[np.ndarray, np.ndarray, np.ndarray]  # uint8 (N, 3, size, size), classes (N,), names (N,)


def load(path: str, size: int = 32, validation: float = 0.1, test: float = 0.2, *, seed: int) -> Dataset:
    """Colour images squeezed or stretched to `size` x `size` pixels, turned as their camera says.

    `path` holds train/CLASS/..., test/CLASS/... and, if there is one, val/CLASS/...; or CLASS/... alone, of which the
    share `test` is drawn by seed. The share `validation` of the images that train or validate is drawn by seed where
    there is no val/. Shares of classes are kept equal. x is (N, 3, size, size), each channel with mean 0 and variance
    1 on the train part. Classes are numbered in alphabetical order.
    """
    check(size, validation=validation, test=test)
    classes, pictures, digests = parts(Path(path), size)
    for name, share in (("test", test), ("val", validation)):
        if name not in pictures:
            pictures["train"], pictures[name] = drawn(pictures["train"], share, seed, path)
    scale = channels(pictures["train"][0])

    def scaled(images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images).float().sub_(scale.centre).div_(scale.spread)

    def read(new: str) -> Rows:
        paths = found(Path(new))
        return Rows(scaled(stacked([resized(one, one.read_bytes(), size) for one in paths])), names(paths, Path(new)))

    train, val, held_out = (
        Split(scaled(pictures[name][0]), torch.from_numpy(pictures[name][1]).long(), pictures[name][2])
        for name in ("train", "val", "test")
    )
    return Dataset(
        name="image_folder",
        output="classes",
        outputs=len(classes),
        train=train,
        val=val,
        test=held_out,
        provenance=Provenance(f"images of {Path(path).name}", files=digests),
        classes=tuple(classes),
        scale=scale,
        read=read,
    )


def check(size: int, **shares: float) -> None:
    """ValueError where a setting is out of its range."""
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f"image_folder: {name}={share} must lie between 0 and 1")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"image_folder: size is a number of pixels, 1 or more; found {size!r}")


def channels(images: np.ndarray) -> Scale:
    """Mean and standard deviation of each channel, shaped (3, 1, 1); 1 for a channel that is the same everywhere."""
    spread, centre = torch.std_mean(torch.from_numpy(images).float(), (0, 2, 3), correction=0, keepdim=True)
    return Scale(centre[0], torch.where(spread > 0, spread, 1)[0])


def parts(path: Path, size: int) -> tuple[list[str], dict[str, Pictures], dict[str, str]]:
    """The classes, the pictures and one sha256 of each part that is there; of an unsplit folder all are "train"."""
    if not path.is_dir():
        raise FileNotFoundError(
            f"image_folder: {path} is not a folder; images are read from train/ and test/ in it, or from its classes"
        )
    if (path / "train").is_dir() or (path / "test").is_dir():
        folders = {name: opened(path / name) for name in ("train", "test")}
        folders |= {"val": opened(path / "val")} if (path / "val").is_dir() else {}
    else:
        folders = {"train": opened(path)}
    classes = folders["train"].classes
    if len(classes) < 2 or any(folder.classes != classes for folder in folders.values()):
        listed = " and ".join(str(folder.classes) for folder in folders.values())
        raise ValueError(
            f"image_folder: {'/ and '.join(folders)}/ of {path} must hold the same two or more classes, found {listed}"
            if len(folders) > 1
            else f"image_folder: {path} must hold two or more classes, found {listed}"
        )
    read_ = {name: read(folder, size, path) for name, folder in folders.items()}
    return classes, {name: one[:3] for name, one in read_.items()}, {name: one[3] for name, one in read_.items()}


def drawn(pictures: Pictures, share: float, seed: int, path: str) -> tuple[Pictures, Pictures]:
    """The pictures without and with the `share` that is drawn by `seed`, class by class."""
    count = len(pictures[0])
    try:
        kept, held_out = train_test_split(np.arange(count), test_size=share, random_state=seed, stratify=pictures[1])
    except ValueError as error:
        raise ValueError(f"image_folder: {path} has too few images to split ({count}): {error}") from error
    one, other = (tuple(each[np.sort(rows)] for each in pictures) for rows in (kept, held_out))
    return one, other


def opened(folder: Path) -> ImageFolder:
    if not folder.is_dir():
        raise FileNotFoundError(f"image_folder: {folder} is not a folder; images are read from train/ and test/")
    try:
        return ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"image_folder: {folder} holds no images of some class ({error})") from error


def read(folder: ImageFolder, size: int, above: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Pictures, named by their places below `above`, and one sha256 of all names and bytes."""
    images, digest = [], hashlib.sha256()
    paths = [Path(path) for path, _ in folder.samples]
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(above).as_posix()} {len(content)} ".encode() + content)
        images.append(resized(path, content, size))
    return stacked(images), np.array(folder.targets), names(paths, above), digest.hexdigest()


def found(path: Path) -> list[Path]:
    """The image at `path`, or all below it, in alphabetical order."""
    paths = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix.lower() in IMG_EXTENSIONS)
    if not paths:
        raise FileNotFoundError(f"image_folder: {path} is no image and no folder that holds images")
    return paths


def resized(path: Path, content: bytes, size: int) -> np.ndarray:
    """The image at `path` as uint8 (size, size, 3); of 16 bits a pixel the upper eight."""
    try:
        image = ImageOps.exif_transpose(Image.open(BytesIO(content)))
        if image.mode in ("I", "F"):
            raise ValueError(f"image_folder: {path} has 32 bits a pixel; expected 8 or 16")
        if image.mode.startswith("I;16"):  # which Pillow would clip to white
            image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
        return np.asarray(image.convert("RGB").resize((size, size)))
    except OSError as error:
        raise ValueError(f"image_folder: {path} cannot be read as an image ({error})") from error


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 3, size, size)"""
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))


def names(paths: Sequence[Path], above: Path) -> np.ndarray:
    """Their places below `above`; the name of a single image."""
    return np.array([path.name if path == above else path.relative_to(above).as_posix() for path in paths])
