"""REPORT: what people read: the tables of results/ inside the documents, and one page, results/report.html.

    python -m attrpriors.report             both; a sweep ends with the page by itself
    python -m attrpriors.report --check     what `make reproduce` gave beside what it should give

The page is made from results/ and experiments/ alone: tables, figures, manifests and cards, and the verdict on each
claim of the papers, which experiments/claims.yaml states and its rule finds in the rows.

A document holds `<!-- results/NAME/table.md -->` and, further down, `<!-- end -->`: what is between them is that file's
tables. `<!-- results/NAME/table.md: main -->` takes the first table alone, `: DATA` the first of that data set.
"""

import re
from pathlib import Path

DOCUMENTS = ("README.md", "experiments/*.md")
BLOCK = re.compile(r"(<!-- (results/\S+?\.md)(?:: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def embedded(text: str, root: Path) -> str:
    """The text of a document with its tables as they are in results/. FileNotFoundError, ValueError without them."""

    def block(match: re.Match[str]) -> str:
        opening, name, part, closing = match.groups()
        caption, *tables = (root / name).read_text().split("\n### ")
        if part:
            tables = [table for table in tables if part == "main" or table.startswith(f"{part} ")][:1]
            if not tables:
                raise ValueError(f"{name} has no table of {part}")
        return opening + "\n### ".join([caption, *tables]).rstrip() + f"\n{closing}"

    return BLOCK.sub(block, text)


def documents(root: Path) -> list[Path]:
    return sorted(path for pattern in DOCUMENTS for path in root.glob(pattern))
