"""What the README says is so: its code runs, its commands and links exist."""

import re
import shlex
from pathlib import Path

import pytest
from command import CONF, ROOT, command, jobs, planned
from hydra import compose, initialize_config_dir

from attrpriors.report import documents

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = documents(ROOT)


def readme() -> str:
    return (ROOT / "README.md").read_text()


def code(text: str) -> list[str]:
    """Lines of code: fenced, indented, or between backticks; without their comments."""
    fenced = [line for _, block in FENCED.findall(text) for line in block.splitlines()]
    rest = FENCED.sub("", text)
    lines = [*fenced, *re.findall(r"^ {4}(\S.*)$", rest, re.MULTILINE), *re.findall(r"`([^`\n]+)`", rest)]
    return [re.split(r"\s+#", line)[0] for line in lines]


def test_the_library_example_is_the_file_it_names() -> None:
    (block,) = (block for language, block in FENCED.findall(readme()) if language == "python")
    assert block == (ROOT / "examples/prior_in_a_loop.py").read_text()  # tests/test_examples.py runs it


def test_every_make_target_that_is_named_exists() -> None:
    named = {target for line in code(readme()) for target in re.findall(r"^make ([a-z_/-]+)", line)}
    assert {"reproduce", "test", "data", "images"} <= named
    for target in named:  # make refuses one that it does not know
        planned(target)


def test_every_choice_that_is_named_exists() -> None:
    found = [pair for line in code(readme()) for pair in re.findall(r"(?<![\w.])([\w/]+)=([\w/,]+)", line)]
    chosen = {f"{group}/{name}" for group, names in found if (CONF / group).is_dir() for name in names.split(",")}
    assert {"data/nhanes", "experiment/quick/health", "hydra/launcher/slurm"} <= chosen
    plugins = {"hydra/launcher/joblib"}  # chosen as it comes
    assert {choice for choice in chosen - plugins if not (CONF / f"{choice}.yaml").is_file()} == set()


def test_every_command_of_a_run_or_a_sweep_composes() -> None:
    commands = [shlex.split(line)[2:] for line in code(readme()) if line.startswith("python run.py ")]
    assert len(commands) >= 3
    for arguments in commands:
        overrides = [argument for argument in arguments if not argument.startswith("-")]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            for job in {tuple(part for part in job if not part.startswith("seed=")) for job in jobs(overrides)}:
                compose("config", list(job))


def test_the_first_run_runs_as_written(tmp_path: Path) -> None:
    lines = [line for line in code(readme()) if line.startswith("python run.py ")]
    assert lines[0] == "python run.py --help"  # tests/test_run.py
    result = command(*shlex.split(lines[1])[2:], f"results={tmp_path}")
    assert result.status == 0, result.text
    assert f"record: {tmp_path}/own/data=health_simulated,prior=gini,seed=4/" in result.text


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_every_link_and_picture_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_every_folder_and_module_of_the_seven_words_exists() -> None:
    rows = re.findall(r"^\| (\w+) \|.*\| (.+) \|$", readme(), re.MULTILINE)
    places = {word: re.findall(r"`([^`]+)`", where) for word, where in rows}
    assert list(places)[-7:] == ["data", "model", "attribution", "prior", "train", "evaluate", "table"]
    for place in (place for word in list(places)[-7:] for place in places[word]):
        assert (ROOT / place).exists() or (ROOT / "src" / "attrpriors" / place).exists(), place
