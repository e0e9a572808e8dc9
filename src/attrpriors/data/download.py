"""Fetching of public files: pinned address, sha256, temporary file, move."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A public file: where it lies under the data folder, where it comes from, what it must be."""

    path: str  # relative to the data folder, the same in a mirror: "nhanes/NHANESI_subset_X.csv"
    url: str
    sha256: str


def verified(root: str | Path, file: File) -> Path:
    """Path of a file that is present and unaltered; else one sentence that says what to do."""
    raise NotImplementedError
