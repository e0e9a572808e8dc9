"""What CONTRIBUTING.md adds to the project works as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(r"`([\w/]+\.\w+)`[^`\n]*(?:`[^`\n]*`[^`\n]*)?:\n\n```(?:python|yaml)\n(.*?)```", re.DOTALL)

# `python run.py experiment=two_clouds`; figures take most of its time
WITHOUT_FIGURES = """
import runpy, sys
from attrpriors import figure
figure.draw = lambda runs, table: None
sys.argv = ["run.py", "experiment=two_clouds"]
runpy.run_path("run.py", run_name="__main__")
"""


def test_every_example_is_at_most_20_lines_and_the_page_one_screen() -> None:
    blocks = BLOCK.findall(TEXT)
    assert len(blocks) == TEXT.count("```") / 2 == 7
    assert max(len(block.splitlines()) for _, block in blocks) <= 20
    assert len(TEXT.splitlines()) <= 120


def test_the_examples_are_a_data_set_an_attribution_a_prior_and_an_experiment_that_runs(tmp_path: Path) -> None:
    for name in ("conf", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "run.py", tmp_path)
    for name, block in BLOCK.findall(TEXT):
        path = tmp_path / name
        path.write_text(f"{path.read_text()}\n\n{block}" if path.exists() else block)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_FIGURES],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.endswith("table: results/two_clouds/table.csv\n")
    table = pd.read_csv(tmp_path / "results/two_clouds/table.csv").set_index(["prior", "metric"])
    assert set(table["attribution"]) == {"saliency"}
    assert (table["n"] == 2).all()
    assert table.loc[("entropy", "gini"), "mean"] > table.loc[("none", "gini"), "mean"]
    assert (table.xs("roc_auc", level="metric")["mean"] > 0.9).all()
