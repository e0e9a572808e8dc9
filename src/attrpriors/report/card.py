"""CARD: experiments/NAME.md as the page shows it, without the tables and figures that the page has of its own."""

import posixpath
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from . import BLOCK

PICTURE = re.compile(r"^!\[.*\]\(.*\)\n", re.MULTILINE)
QUESTION = re.compile(r"\*\*Question\.\*\*(.+?)(?:\n\n|\Z)", re.DOTALL)


def split(path: Path) -> dict[str, Any]:
    """Title, question, observed and the rest of a card, all but the title as HTML; empty where it has none."""
    text = PICTURE.sub("", BLOCK.sub("", path.read_text())) if path.exists() else ""
    opening, *parts = text.split("\n## ")
    titled = {title: body for title, _, body in (part.partition("\n") for part in parts)}
    question = QUESTION.search(opening)
    heading = opening.partition("\n")[0].removeprefix("# ")
    rest = "".join(f"\n## {title}\n{body}" for title, body in titled.items() if title != "Observed")
    body = QUESTION.sub("", opening.partition("\n")[2])
    return {
        "title": heading or path.stem,
        "question": html(" ".join(question[1].split())) if question else "",
        "observed": html(titled.get("Observed", "")),
        "rest": html(body + rest),
    }


def html(text: str) -> Markup:
    """Markdown as HTML; raw HTML in it stays text, links lead from results/ to where they led from experiments/."""
    return Markup(MARKDOWN.render(text))


def _link(
    self: RendererHTML, tokens: Sequence[Token], i: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    target = str(tokens[i].attrGet("href"))
    if not urlsplit(target).scheme and not target.startswith("#"):
        tokens[i].attrSet("href", posixpath.relpath(posixpath.join("experiments", target), "results"))
    return self.renderToken(tokens, i, options, env)


MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
MARKDOWN.add_render_rule("link_open", _link)
