"""Write the page, and the tables of results/ into README.md and the cards; or check what `make reproduce` gave."""

import argparse
import sys
from pathlib import Path

from ..record import write
from . import check, documents, embedded, page

RESULTS = Path("results")

parser = argparse.ArgumentParser(prog="python -m attrpriors.report", description=__doc__)
parser.add_argument("--check", action="store_true", help="the page and a table, claim by claim; status 1 if one fails")
arguments = parser.parse_args()
written = page.refresh(RESULTS)
if arguments.check:
    found = check.checks(RESULTS, page.EXPERIMENTS / "reproduce.yaml")
    print(f"{check.table(found)}\n\nreport: {written}")
    sys.exit(check.verdict(found))
for document in documents(Path()):
    write(document, embedded(document.read_text(), Path()).encode())
    print(f"{document}: tables of results/")
print(f"report: {written}")
