"""Fetching of public files: pinned address, temporary file, checksum, move.

`python -m attrpriors.data.download [--mirror FOLDER_OR_ADDRESS] [--root data]` brings every file of the
downloaded data sets, says one line for each, and has nothing to do the second time.
"""

import argparse
import errno
import hashlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import pooch
import requests
from filelock import FileLock, Timeout

ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt; twice as long before the third
TIMEOUT = 30.0  # seconds a server may stay silent
WEB = ("http://", "https://")
HERE = ("present", "fetched", "copied")  # the outcomes that leave a verified file

Outcome = Literal["present", "fetched", "copied", "skipped", "failed"]


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


def download(url: str, target: Path, unreachable: set[str]) -> None:
    """The bytes at `url`, tried again where that may help. A host without an answer joins `unreachable`."""
    host = urlsplit(url).netloc
    if host in unreachable:  # one long wait for each host, not one for each file
        raise OSError(f"no connection to {host}")
    # identity: the bytes as published, not packed once more by the server on the way
    settings = {"timeout": TIMEOUT, "headers": {"Accept-Encoding": "identity"}}
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), **settings)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            fetch(url, str(target), None)
            return
        except requests.HTTPError as error:
            answer = cast(requests.Response, error.response)
            if attempt == ATTEMPTS or answer.status_code < 500:
                raise OSError(f"{answer.status_code} {answer.reason}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            if attempt == ATTEMPTS:
                unreachable.add(host)
                raise OSError(f"no connection to {host} ({type(error).__name__})") from error
        except requests.RequestException as error:
            if attempt == ATTEMPTS:
                raise OSError(f"the download broke off ({type(error).__name__})") from error
        time.sleep(attempt * PAUSE)


def transfer(origin: str, target: Path, unreachable: set[str]) -> Outcome:
    """The bytes of a public address or of a file in a mirror folder, written to `target`."""
    if origin.startswith(WEB):
        download(origin, target, unreachable)
        return "fetched"
    if not Path(origin).is_file():
        raise FileNotFoundError("not in mirror")
    shutil.copyfile(origin, target)
    return "copied"


def bring(root: Path, file: File, mirror: str, unreachable: set[str]) -> tuple[Outcome, str]:
    """Makes one file present and verified, or leaves everything as it was: the outcome and a remark."""
    target = root / file.path
    altered = digest_error(target, file) if target.is_file() else ""
    if target.is_file() and not altered:
        return "present", ""
    origin = f"{mirror.rstrip('/')}/{file.path}" if mirror else file.url
    if not origin:
        return ("failed", f"{altered}, only a mirror has it") if altered else ("skipped", "only a mirror has it")
    temporary = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        outcome = transfer(origin, temporary, unreachable)
        if error := digest_error(temporary, file):
            raise ValueError(error)
        temporary.replace(target)
    except (OSError, ValueError) as error:
        return "failed", short(error) + ("; the altered file is left, and never used" if altered else "")
    finally:
        temporary.unlink(missing_ok=True)
    return outcome, "in place of an altered file" if altered else ""


def short(error: OSError | ValueError) -> str:
    """The reason alone, without the paths and numbers of an error of the system."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def say(outcome: Outcome, name: str, remark: str) -> None:
    print(f"{outcome:<8} {name}" + (f": {remark}" if remark else ""), flush=True)


def bring_all(root: Path, files: Iterable[File], mirror: str = "") -> dict[str, Outcome]:
    """The outcome for each path, said as it comes; no failure stops the files after it."""
    outcomes: dict[str, Outcome] = {}
    unreachable: set[str] = set()
    for file in files:
        outcomes[file.path], remark = bring(root, file, mirror, unreachable)
        say(outcomes[file.path], file.path, remark)
    return outcomes


@contextmanager
def sole(root: Path) -> Iterator[None]:
    """One process at a time in the data folder; the next one waits, and says so."""
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is filling {root}: waiting for it", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def main(arguments: Sequence[str] | None = None) -> int:
    # here: they import this one
    from attrpriors.data import beataml, cifar10, fashion_mnist, gdsc, mnist, nhanes, nhanes_paper

    parser = argparse.ArgumentParser(description="Fetch the real data sets, check them, prepare their tables.")
    parser.add_argument("--mirror", default="", help="folder or http(s) address that holds the files")
    parser.add_argument("--root", default="data", type=Path, help="folder to fill (default: data)")
    options = parser.parse_args(arguments)
    if options.mirror and not options.mirror.startswith(WEB) and not Path(options.mirror).is_dir():
        parser.error(f"the mirror {options.mirror!r} is neither a folder nor an http(s) address")
    rooms = (mnist, fashion_mnist, cifar10, gdsc, nhanes, nhanes_paper, beataml)
    files = {file.path: file for room in rooms for file in room.FILES}
    try:
        with sole(options.root):
            outcomes = bring_all(options.root, files.values(), options.mirror)
            if all(outcomes[file.path] in HERE for file in gdsc.FILES):
                gdsc.prepare(options.root)
                print("the tables in gdsc/ are prepared", flush=True)
    except (OSError, ValueError) as error:
        say("failed", str(options.root), short(error))
        return 1
    counts = Counter[str](outcomes.values())
    here = sum(counts[outcome] for outcome in HERE)
    print(f"{here} of {len(outcomes)} files are there:", ", ".join(f"{n} {name}" for name, n in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
