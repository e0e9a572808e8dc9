"""Fetching of public files: pinned address, sha256, temporary file, move."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pooch


@dataclass(frozen=True)
class File:
    """A public file: where it lies under the data folder, where it comes from, what it must be."""

    path: str  # relative to the data folder, the same in a mirror: "nhanes/NHANESI_subset_X.csv"
    url: str  # empty: only a mirror has it
    sha256: str  # empty: known by its git blob id alone
    git_blob: str = ""


def git_blob_id(path: str | Path) -> str:
    """Git's name for the bytes of a file: sha1 of "blob <size>", a zero byte and the bytes."""
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def digest_error(path: str | Path, file: File) -> str:
    """What is wrong with the bytes at `path`, in a few words; empty when they are the ones expected."""
    if file.sha256:
        kind, found, expected = "sha256", pooch.file_hash(str(path)), file.sha256
    else:
        kind, found, expected = "git blob", git_blob_id(path), file.git_blob
    return "" if found == expected else f"{kind} differs: found {found}, expected {expected}"


def verified(root: str | Path, file: File) -> Path:
    """Path of a file that is present and unaltered; else one sentence that says what to do."""
    path = Path(root) / file.path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `make data`")
    if error := digest_error(path, file):
        raise ValueError(f"{path} is not the published file ({error}): run `make data`")
    return path
