"""The programs under examples/ run, and what they print is so."""

import re
import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NUMBER = r"(-?\d+\.\d+)"


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with torch.random.fork_rng():
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def numbers(pattern: str, lines: list[str]) -> list[tuple[float, ...]]:
    """The numbers of each line, which the pattern describes whole."""
    found = [re.fullmatch(pattern, line) for line in lines]
    assert all(found), lines
    return [tuple(map(float, match.groups())) for match in found if match]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40


def test_the_prior_in_a_loop_finds_the_features_that_matter(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("prior_in_a_loop", capsys)
    said = rf"strength {NUMBER}: squared error on new rows {NUMBER}, Gini coefficient {NUMBER}"
    (none, plain, before), (some, error, after) = numbers(said, lines)
    assert none == 0 < some
    assert error < plain
    assert after > before + 0.2


def test_attributions_add_up_to_the_change_of_the_score_within_their_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    features, total = printed("standard_error", capsys)
    pairs = [tuple(map(float, pair)) for pair in re.findall(rf"\w+ {NUMBER} ± {NUMBER}", features)]
    assert len(pairs) == 3
    assert all(abs(phi) > 2 * error > 0 for phi, error in pairs)
    ((phi, change),) = numbers(rf"sum of all ten {NUMBER}; score less mean score {NUMBER}", [total])
    assert phi == pytest.approx(change, abs=3 * sum(error**2 for _, error in pairs) ** 0.5)


def test_a_penalty_of_ones_own_does_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("own_penalty", capsys)
    said = rf"(?:NoPrior|AttributionPrior): squared error on test rows {NUMBER}, attribution on sex {NUMBER}%"
    (plain, before), (error, after) = numbers(said, lines)
    assert after < before / 3
    assert error < plain + 0.1
