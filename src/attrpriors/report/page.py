"""PAGE: results/report.html, one file that asks for nothing else: claims, tables, figures, what they stand on.

The same results and experiments give the same bytes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import figure
from ..record import write
from ..record.setting import digest
from . import card, check, claims
from .facts import facts

EXPERIMENTS = Path("experiments")
TABLES = ("published.md", "verdicts.md", "table.md")  # of a results folder, in the order of the page
QUICK = "quick"
LONGEST = 1000  # rows of a table of the page; a longer one is a file beside it


@dataclass(frozen=True)
class Table:
    title: str
    body: Markup
    note: Markup  # what the cells are
    shown: bool  # else behind its title
    long: bool = False


@dataclass(frozen=True)
class Picture:
    stem: str
    caption: str
    drawing: Markup
    formats: list[str]  # paths from results/


@dataclass(frozen=True)
class Folder:
    """results/NAME."""

    name: str
    tables: list[Table]
    pictures: list[Picture]
    facts: list[tuple[str, str]]
    files: list[str]


@dataclass(frozen=True)
class Section:
    """A card with its results."""

    name: str
    card: dict[str, Any]
    verdicts: list[claims.Verdict]
    folders: list[Folder]


def refresh(results: Path, experiments: Path = EXPERIMENTS) -> Path:
    """Write report.html into `results`, and the verdicts alone, for README.md, into claims.md."""
    environment = Environment(
        loader=PackageLoader(__package__, "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    verdicts = claims.verdicts(results, experiments / "claims.yaml")
    content = environment.get_template("page.html").render(
        verdicts=verdicts,
        counts=[
            (word, sum(one.word == word for one in verdicts))
            for word in (claims.HOLDS, claims.FAILS, claims.OPEN, claims.ABSENT)
        ],
        checks=check.checks(results, experiments / "reproduce.yaml"),
        sections=sections(results, experiments, verdicts),
    )
    page = results / "report.html"
    write(page, content.encode())
    write(results / "claims.md", claims.markdown(verdicts).encode())
    return page


def sections(results: Path, experiments: Path, verdicts: Sequence[claims.Verdict]) -> list[Section]:
    """In the order of the claims, then the other cards, then results without a card."""
    found: dict[str, list[str]] = {}
    for path in sorted(results.rglob("table.md")):
        name = path.parent.relative_to(results).as_posix()
        found.setdefault(_card_of(name), []).append(name)
    ordered = [_card_of(one.claim.experiment) for one in verdicts if one.claim.experiment]
    ordered += [*sorted(path.stem for path in experiments.glob("*.md")), *found]
    return [
        Section(
            name,
            card.split(experiments / f"{name}.md"),
            [one for one in verdicts if _card_of(one.claim.experiment) == name],
            [folder(results, one) for one in sorted(found.get(name, []), key=lambda one: (one != name, one))],
        )
        for name in dict.fromkeys(ordered)
    ]


def _card_of(name: str) -> str:
    """ "health" of "quick/health" and of "health/strength"."""
    return name.removeprefix(f"{QUICK}/").partition("/")[0]


def folder(results: Path, name: str) -> Folder:
    path = results / name
    texts = [(path / file).read_text() for file in TABLES if (path / file).exists()]
    tables = [table for text in texts for table in _tables(text)]
    files = sorted(file.name for file in path.iterdir() if file.suffix in (".csv", ".gz", ".jsonl", ".json", ".tex"))
    return Folder(
        name,
        [*tables, *_comparison(path)],
        list(pictures(results, path / "figures")) + list(pictures(results, path)),
        facts(path),
        files,
    )


def _tables(text: str) -> Iterator[Table]:
    """The titled tables of a Markdown file, whose opening says what the cells are; the first is shown."""
    opening, *parts = text.split("\n### ")
    for i, part in enumerate(parts):
        title, _, body = part.partition("\n")
        yield Table(title, card.html(body), card.html(opening), shown=i == 0)


def _comparison(path: Path) -> Iterator[Table]:
    """All paired differences of a sweep, up to LONGEST; labels that are the same throughout are left out."""
    table = pd.read_csv(path / "comparison.csv") if (path / "comparison.csv").exists() else pd.DataFrame()
    if not 0 < len(table) <= LONGEST:
        return
    labels = [name for name in table.loc[:, :"metric"].columns[:-1] if table[name].nunique() > 1]
    digits = {name: table[name].map("{:.3g}".format) for name in ("difference", "low", "high", "p", "p_holm")}
    shown = table.assign(**digits)[[*labels, "metric", "against", *digits, "n"]]
    body = shown.to_html(index=False, border=0, classes="long", na_rep="–").replace("\n", "").replace("  ", "")
    title = f"every pair of methods: differences paired by seed, 95 % interval, p with Holm's correction ({len(table)})"
    yield Table(title, Markup(body), Markup(), shown=False, long=True)


def pictures(results: Path, folder: Path) -> Iterator[Picture]:
    """The figures of a folder that have an SVG, histories last; the caption is what the drawing function says."""
    kinds = [kind.__name__ for kind in figure.KINDS]
    for path in sorted(folder.glob("*.svg"), key=lambda path: (_order(kinds, path), path.stem)):
        drawn = getattr(figure, path.stem.partition("_")[0], None)
        caption = (drawn.__doc__ or "").partition("\n")[0] if callable(drawn) else path.stem
        formats = [path.with_suffix(suffix) for suffix in (".svg", ".png", ".pdf")]
        present = [file.relative_to(results).as_posix() for file in formats if file.exists()]
        yield Picture(path.stem, caption, drawing(path, results), present)


def _order(kinds: Sequence[str], path: Path) -> int:
    kind = path.stem.partition("_")[0]
    return kinds.index(kind) if kind in kinds else len(kinds)


def drawing(path: Path, results: Path) -> Markup:
    """An SVG file as an element of the page: its ids its own, its style the page's, lengths to 1/100 of a point."""
    text = path.read_text()
    text = re.sub(
        r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", text, flags=re.DOTALL
    )
    text = text[text.index("<svg") :]
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    own = f"f{digest(path.relative_to(results).as_posix())[:6]}-"
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{own}", text)
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d{2})\d+", r"\1", tag[0]), text)  # not the labels
    return Markup(re.sub(r"\s*\n\s*", "\n", text))
