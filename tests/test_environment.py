"""One list of pinned versions, for pip and for conda, and nothing of the machines it was made on."""

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
PINNED = [Requirement(line.rstrip("\\")) for line in LOCK.splitlines() if re.match(r"\w", line)]
ASKED = [Requirement(text) for text in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])]
PLATFORMS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for python in ("3.11", "3.12", "3.13", "3.14")
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
]


def applying(platform: dict[str, str]) -> dict[str, list[Version]]:
    """Name -> the versions that the lock file pins for a platform."""
    versions: dict[str, list[Version]] = {}
    for pin in PINNED:
        if pin.marker is None or pin.marker.evaluate(platform):
            versions.setdefault(canonicalize_name(pin.name), []).append(Version(str(pin.specifier).removeprefix("==")))
    return versions


def test_conda_takes_python_from_its_channel_and_every_other_version_from_the_lock_file() -> None:
    *packages, pip = CONDA["dependencies"]
    assert pip == {"pip": ["-r requirements.lock"]}
    assert [package.partition("=")[0] for package in packages] == ["python", "pip"]
    assert CONDA["name"] == PROJECT["name"]


def test_condas_python_is_one_that_the_project_takes() -> None:
    (python,) = (package.partition("=")[2] for package in CONDA["dependencies"] if str(package).startswith("python="))
    assert Version(python) in SpecifierSet(PROJECT["requires-python"])


def test_every_line_of_the_lock_file_pins_one_version_with_its_checksums() -> None:
    assert all(re.fullmatch(r"==[\w.!+]+", str(pin.specifier)) for pin in PINNED)
    assert LOCK.count("==") - LOCK.count(" == '") >= len(PINNED)
    blocks = re.split(r"\n(?=\w)", LOCK.strip())
    assert len(blocks) == len(PINNED)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", block) for block in blocks)


def test_every_pin_has_a_marker_of_its_own() -> None:
    repeated = Counter((canonicalize_name(pin.name), str(pin.marker)) for pin in PINNED)
    assert max(repeated.values()) == 1


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: "-".join(list(platform.values())[1:]))
def test_every_dependency_is_pinned_once_within_its_bounds(platform: dict[str, str]) -> None:
    versions = applying(platform)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
    for asked in ASKED:
        (version,) = versions[canonicalize_name(asked.name)]
        assert version in asked.specifier, asked


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml"])
def test_no_registry_is_named(name: str) -> None:
    assert not re.search(r"http|index-url|--find-links", (ROOT / name).read_text())


def test_no_tracked_file_names_a_folder_of_a_machine() -> None:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert ROOT / "pyproject.toml" in paths
    folder = re.compile(rb"(?<![\w.*~-])/(work|root|home|Users)/\w")
    named = {path.name: folder.findall(path.read_bytes()) for path in paths if path.is_file()}
    assert {name: found for name, found in named.items() if found} == {}
