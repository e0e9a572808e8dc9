"""Documents hold the tables of results/, and no number of their own making."""

from pathlib import Path

import pytest

from attrpriors.report import documents, embedded

TABLE = "Cells: mean.\n\n### first\n\n| a |\n|---|\n| 1 |\n\n### second\n\n| b |\n|---|\n| 2 |\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "results/toy").mkdir(parents=True)
    (tmp_path / "results/toy/table.md").write_text(TABLE)
    return tmp_path


def test_a_block_becomes_the_file_it_names(root):
    text = "before\n<!-- results/toy/table.md -->\nold\n<!-- end -->\nafter\n"
    expected = f"before\n<!-- results/toy/table.md -->\n{TABLE}<!-- end -->\nafter\n"
    assert embedded(text, root) == expected
    assert embedded(expected, root) == expected


def test_main_takes_the_first_table_alone(root):
    text = "<!-- results/toy/table.md: main -->\n<!-- end -->"
    assert embedded(text, root) == (
        "<!-- results/toy/table.md: main -->\nCells: mean.\n\n### first\n\n| a |\n|---|\n| 1 |\n<!-- end -->"
    )


def test_a_data_set_takes_its_first_table_alone(root):
    (root / "results/toy/table.md").write_text(
        "Cells: mean.\n\n### mnist (real)\n\na\n\n### gdsc (real)\n\nb\n\n### gdsc (real): cost\n"
    )
    text = "<!-- results/toy/table.md: gdsc -->\n<!-- end -->"
    assert embedded(text, root) == (
        "<!-- results/toy/table.md: gdsc -->\nCells: mean.\n\n### gdsc (real)\n\nb\n<!-- end -->"
    )
    with pytest.raises(ValueError, match=r"results/toy/table\.md has no table of nhanes"):
        embedded(text.replace("gdsc", "nhanes"), root)


def test_text_without_a_block_stays_as_it_is(root):
    assert embedded("no table\n", root) == "no table\n"


def test_a_missing_table_is_named(root):
    with pytest.raises(FileNotFoundError, match=r"results/none/table\.md"):
        embedded("<!-- results/none/table.md -->\n<!-- end -->", root)


def test_every_document_holds_the_tables_of_results(committed):
    assert len(documents(committed)) > 3
    for document in documents(committed):
        text = document.read_text()
        assert embedded(text, committed) == text, f"{document.name}: run `make report`"
