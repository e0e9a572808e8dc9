"""results/report.html: what it says, that it is whole in one file, and how it behaves in a browser."""

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import yaml
from matplotlib.figure import Figure

from attrpriors.figure.canvas import STYLE, save
from attrpriors.report import page
from attrpriors.report.facts import facts

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
WIDTHS = (390, 1280)  # px: a phone, a desk
MANIFEST = {
    "labels": {"data": "survey", "source": "stand-in: simulated"},
    "data": {"name": "Made up", "files": {"survey.csv": "0123456789abcdef"}},
    "seconds": {"total": 4000.0},
    "peak_memory_mb": 512.4,
    "commit": "fedcba9876543210",
    "dirty": False,
    "versions": {"python": "3.11.7"},
    "processor": "A processor",
    "threads": 2,
    "device": "cpu",
    "finished": "2026-01-02T03:04:05+00:00",
}
ROWS = "data,source,prior,seed,metric,value\n" + "".join(
    f"survey,stand-in: simulated,{prior},{seed},roc_auc,{0.7 + 0.01 * seed + gain}\n"
    for prior, gain in (("none", 0), ("gini", 0.1))
    for seed in range(3)
)
TABLE = "data,prior,metric,mean,failed\nsurvey,none,seconds_per_epoch,2,0\nsurvey,gini,seconds_per_epoch,5,0\n"
CARD = """# health: a sparse prior

**Question.** Does it
help?

## Published

A [table](health.csv) of <b>numbers</b>.

## Observed

<!-- results/health/table.md -->
stale numbers
<!-- end -->

**What holds.** Nothing, see [the figure](../results/health/figures/scores.png).

![scores](../results/health/figures/scores.png)
"""
CLAIM = {
    "claim": "The prior raises <ROC-AUC>.",
    "source": "a paper, section 1",
    "published": "0.9 against 0.8",
    "experiment": "health",
    "rule": {"_target_": "attrpriors.report.rule.difference", "metric": "roc_auc", "above": 0.05}
    | {"of": {"prior": "gini"}, "against": {"prior": "none"}},
}


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    with mpl.rc_context(STYLE):
        figure = Figure()
        figure.subplots().plot([1.001, 1.009], label="a line")
        figure.legend()
        save(figure, folder / "scores_survey_mlp")
    return folder


@pytest.fixture
def project(tmp_path: Path, figures: Path) -> Path:
    """A project of one experiment, with a card and a claim, and of results of one's own, without."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/health.md").write_text(CARD)
    (tmp_path / "experiments/claims.yaml").write_text(yaml.safe_dump([CLAIM]))
    for name in ("health", "quick/health", "own"):
        folder = tmp_path / "results" / name
        shutil.copytree(figures, folder / "figures")
        table = f"Cells: mean.\n\n### survey, {name}\n\n| a |\n|---|\n| 1 |\n\n### cost\n\n| b |\n|---|\n| 2 |\n"
        (folder / "table.md").write_text(table)
        (folder / "table.csv").write_text(TABLE)
        (folder / "rows.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
        (folder / "manifests.jsonl").write_text(2 * (json.dumps(MANIFEST) + "\n"))
    return tmp_path


def refreshed(project: Path) -> str:
    return page.refresh(project / "results", project / "experiments").read_text()


def test_the_same_results_give_the_same_page(project: Path) -> None:
    assert refreshed(project) == refreshed(project)


def test_a_claim_stands_on_top_with_its_verdict_and_leads_to_its_section(project: Path) -> None:
    text = refreshed(project)
    top = text[text.index('<section id="claims">') : text.index('<section id="health">')]
    assert "The prior raises &lt;ROC-AUC&gt;." in top
    assert re.search(r'<a href="#health"><span class="badge holds">✓ holds</span></a>', top)
    assert "0.810 against 0.710; difference 0.1" in top
    assert "survey (stand-in: simulated)" in top
    assert "0.9 against 0.8" in top


def test_a_section_has_question_tables_figures_facts_and_the_words_of_its_card(project: Path) -> None:
    text = refreshed(project)
    section = text[text.index('<section id="health">') : text.index('<section id="own">')]
    order = ["<h2>health: a sparse prior</h2>", "Does it help?", "results/health</h3>", "survey, health</h4>"]
    order += ["<summary>cost</summary>", "<svg", "2.50 times the epoch without one", "2 h 13 min", "fedcba987654"]
    order += ["results/quick/health</h3>", "<strong>What holds.</strong>", "A <a"]
    places = [section.index(part) for part in order]
    assert places == sorted(places)
    assert "stale" not in section
    assert "<img" not in section
    assert '<a href="../experiments/health.csv">' in section
    assert '<a href="health/figures/scores.png">' in section
    assert "&lt;b&gt;numbers&lt;/b&gt;" in section


def test_results_without_a_card_have_a_section_too(project: Path) -> None:
    shutil.rmtree(project / "experiments")
    text = refreshed(project)
    assert re.findall(r'^<section id="(\w+)">', text, re.MULTILINE) == ["health", "own"]


def test_facts_tell_data_seeds_cost_time_machine_and_code(project: Path) -> None:
    found = dict(facts(project / "results/health"))
    assert found == {
        "data": "survey (stand-in: simulated): Made up; sha256 of survey.csv 0123456789ab",
        "seeds": "0 to 2",
        "cost of the prior": "gini 2.50 times the epoch without one",
        "machine time": "2 h 13 min in 2 records, finished 2026-01-02; peak memory 512 MB",
        "machine": "A processor, 2 threads, device cpu",
        "commit": "fedcba987654",
        "versions": "python 3.11.7",
    }


def test_drawings_keep_their_ids_to_themselves(project: Path) -> None:
    text = refreshed(project)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert {one or other for one, other in used} <= set(ids)
    assert text.count("<svg") == 3


def test_drawings_keep_their_words_and_numbers(project: Path) -> None:
    file = project / "results/own/figures/scores_survey_mlp.svg"
    words = re.compile(r"<text[^>]*>([^<]+)</text>")
    labels = words.findall(file.read_text())
    assert "a line" in labels
    assert "1.004" in labels
    assert words.findall(page.drawing(file, project / "results")) == labels


def test_the_page_asks_for_nothing_from_elsewhere(project: Path) -> None:
    text = refreshed(project)
    assert re.findall(r'\b(?:src|srcset)="|@import|<link[^>]*href="(?!data:)|url\((?!#)', text) == []
    assert "default-src 'none'" in text


def test_the_committed_page_is_that_of_the_committed_results(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (committed / "results/report.html").read_bytes()
    assert len(before) < 8e6
    after = page.refresh(committed / "results", committed / "experiments").read_bytes()
    assert after == before, "results/report.html: run `make report`"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def opened(browser: Any, committed: Path) -> Iterator[tuple[Any, list[str]]]:
    """The committed page, and what its console and the network said."""
    address = (committed / "results/report.html").as_uri()
    tab, told = browser.new_page(), []
    tab.on("console", lambda message: told.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: told.append(f"error: {error}"))
    tab.on("request", lambda request: told.append(f"request: {request.url}") if request.url != address else None)
    tab.goto(address)
    yield tab, told
    tab.close()


def test_it_opens_without_errors_and_without_requests(opened: tuple[Any, list[str]]) -> None:
    tab, told = opened
    assert "claims" in tab.title()
    assert told == []


@pytest.mark.parametrize("width", WIDTHS)
def test_all_figures_are_visible_and_nothing_leaves_the_screen_sideways(
    opened: tuple[Any, list[str]], width: int
) -> None:
    tab, _ = opened
    tab.set_viewport_size({"width": width, "height": 900})
    sizes = tab.evaluate("[...document.querySelectorAll('figure svg')].map(e => e.getBoundingClientRect().width)")
    assert len(sizes) > 20
    assert min(sizes) > 200
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_long_tables_sort_by_number_and_filter_by_words(opened: tuple[Any, list[str]]) -> None:
    tab, _ = opened
    table = "document.querySelector('#attribution_benchmark .wide table')"
    column = f"[...{table}.tBodies[0].rows].map(row => parseFloat(row.cells[1].textContent))"
    before = tab.evaluate(column)
    for ordered in (sorted(before), sorted(before, reverse=True)):
        tab.evaluate(f"{table}.tHead.rows[0].cells[1].click()")
        assert tab.evaluate(column) == ordered != before
    tab.locator("#attribution_benchmark .filter").first.fill("remove IMPUTE")
    shown = tab.evaluate(f"[...{table}.tBodies[0].rows].filter(row => row.offsetHeight).map(row => row.innerText)")
    assert len(shown) == 3
    assert all("remove" in row and "impute" in row for row in shown)


def test_a_printed_page_shows_what_is_folded(opened: tuple[Any, list[str]]) -> None:
    tab, _ = opened
    assert tab.pdf(format="A4").startswith(b"%PDF")
    assert tab.evaluate("[...document.querySelectorAll('details:not(.long)')].every(part => part.open)")
