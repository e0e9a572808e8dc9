"""Tables and figures of all runs in a results folder."""

import argparse
import sys
from pathlib import Path

from ..record import sentence
from . import collect

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path, help="results/NAME")
try:
    folder = parser.parse_args().folder
    print(f"{collect(folder)}\ntable: {folder / 'table.csv'}")
except (OSError, ValueError) as error:
    sys.exit(sentence(error))
