import pandas as pd

from attrpriors.data.target import ALIASES, pathways, targets

DRUGS = pd.DataFrame(
    [
        ("one", "EGFR, ERBB2", "EGFR signaling"),
        ("two", "MEK1,  MEK2, ", "ERK MAPK signaling"),
        ("family", "VEGFR, PDGFR", "RTK signaling"),
        ("mode", None, "DNA replication"),
        ("three", "MEK1, EGFR", "EGFR signaling"),
        ("lost", "EGFR", None),
    ],
    columns=["drug", "target", "target_pathway"],
)
PANEL = ["EGFR", "ERBB2", "MAP2K1", "KDR", "PDGFRA"]


def test_a_target_is_a_symbol_or_a_listed_name_of_one_gene_of_the_panel() -> None:
    expected = {"one": ("EGFR", "ERBB2"), "two": ("MAP2K1",), "three": ("MAP2K1", "EGFR"), "lost": ("EGFR",)}
    assert targets(DRUGS, PANEL) == expected


def test_a_pathway_holds_the_targets_of_its_drugs_each_once() -> None:
    found = pathways(DRUGS, targets(DRUGS, PANEL))
    assert found == {"EGFR signaling": ("EGFR", "ERBB2", "MAP2K1"), "ERK MAPK signaling": ("MAP2K1",)}


def test_no_listed_name_is_a_family_or_stands_for_itself() -> None:
    assert not set(ALIASES) & {"VEGFR", "PDGFR", "RAF", "HDAC", "AKT", "MTORC1", "PI3K (class 1)"}
    assert all(name != gene for name, gene in ALIASES.items())
