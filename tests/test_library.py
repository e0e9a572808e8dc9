"""The library as others use it: every public name is documented, and it is installed as a package of its own."""

import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import attrpriors

ROOT = Path(__file__).parents[1]
PUBLIC = {name: getattr(attrpriors, name) for name in attrpriors.__all__}
OWN = {"NoPrior", "Random"}  # nobody's: there is no source to name


def needed(name: str, thing: Any) -> set[str]:
    """What the docstring of a public name says, by its kind.

    Everything that has to do with tensors tells their Shapes and the Unit of what it gives. A formula, and a procedure,
    tells its Source. What refuses input, itself or by a setting, tells its Errors.
    """
    source = inspect.getsource(thing)
    if dataclasses.is_dataclass(thing) and not hasattr(thing, "fit"):
        labels = {"Shapes", "Unit"} if "Tensor" in source or "Split" in source else set()
    elif getattr(thing, "_is_protocol", False):
        labels = {"Shapes", "Unit"}
    else:
        labels = {"Shapes", "Unit"} | ({"Source"} if name not in OWN else set())
    refuses = re.search(r"raise |at_least_one\(|evaluation_only\(|target\(", source)
    return labels | ({"Errors"} if refuses else set())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented_as_its_kind_needs(name: str) -> None:
    thing = PUBLIC[name]
    doc = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert doc, f"{name} has no docstring"
    assert not doc.startswith(f"{name}("), f"{name} has the docstring that dataclasses make"
    said = dict(re.findall(r"\b(Shapes|Unit|Errors|Source): (\S[^.;]*)", doc))
    assert needed(name, thing) <= set(said), f"{name} lacks {needed(name, thing) - set(said)}"
    if "Shapes" in said:
        assert re.search(r"\((B|N|M|F|2|\*)[^)]*\)", said["Shapes"]), f"{name} names no shape: {said['Shapes']!r}"
    if "Errors" in said:
        assert "Error" in said["Errors"]


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_every_public_method_is_documented(name: str) -> None:
    members = {key: value for key, value in vars(PUBLIC[name]).items() if not key.startswith("_")}
    methods = {key: value for key, value in members.items() if callable(value) or isinstance(value, property)}
    assert [key for key, value in methods.items() if not inspect.getdoc(value)] == []


def test_the_list_of_public_names_is_sorted_and_whole() -> None:
    assert attrpriors.__all__ == sorted(attrpriors.__all__)
    imported = {name for name in vars(attrpriors) if not name.startswith("_")}
    assert {name for name in imported if not inspect.ismodule(vars(attrpriors)[name])} == set(attrpriors.__all__)


def test_a_wheel_holds_every_module_and_says_that_it_is_typed(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"  # as `pip install .` does
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    there = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    here = {path.relative_to(tmp_path / "src").as_posix() for path in (tmp_path / "src/attrpriors").rglob("*.*")}
    assert there == here
    assert {"attrpriors/__init__.py", "attrpriors/py.typed"} <= there


def test_the_documentation_is_rendered_without_a_warning(tmp_path: Path) -> None:
    pdoc = pytest.importorskip("pdoc")
    pdoc.render.configure(template_directory=ROOT / "documentation", docformat="markdown")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc("attrpriors", "!attrpriors[.]", output_directory=tmp_path)
    page = (tmp_path / "attrpriors.html").read_text()
    for name in attrpriors.__all__:
        assert f'id="{name}"' in page, name
    assert "Shapes: x and phi (B, *F)." in page  # as it is written: no asterisk is taken for emphasis
