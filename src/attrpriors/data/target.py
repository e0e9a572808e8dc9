"""TARGET: which genes of a panel a drug aims at, from the words of the GDSC drug list.

A target counts where the list names one gene: by its approved symbol, or by a name of ALIASES. Families (VEGFR, PDGFR,
RAF, HDAC, "PI3K (class 1)"), complexes (MTORC1, proteasome) and modes of action (alkylating agent) are no gene.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

ALIASES = {  # names in the list that are not approved symbols, for genes of the census panel (HGNC)
    "ABL": "ABL1",
    "ERK2": "MAPK1",
    "IDH1 (R132H)": "IDH1",
    "IDH2 R140Q mutant": "IDH2",
    "IKK-2": "IKBKB",
    "MEK1": "MAP2K1",
    "MEK2": "MAP2K2",
    "PI3Kalpha": "PIK3CA",
    "PI3Kbeta": "PIK3CB",
    "Polybromo 1": "PBRM1",
    "TP53 activation": "TP53",
    "VEGFR3/FLT4": "FLT4",
}


def targets(drugs: pd.DataFrame, panel: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Drug -> the genes of `panel` among its targets (columns drug, target); without the drugs that have none."""
    genes = set(panel)
    found = {}
    for drug, words in drugs[["drug", "target"]].fillna("").itertuples(index=False):
        names = (name.strip() for name in words.split(","))
        if hit := tuple(dict.fromkeys(gene for gene in (ALIASES.get(name, name) for name in names) if gene in genes)):
            found[str(drug)] = hit
    return found


def pathways(drugs: pd.DataFrame, targets: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Target pathway -> the target genes of its drugs (columns drug, target_pathway)."""
    sets: dict[str, list[str]] = {}
    for drug, pathway in drugs[["drug", "target_pathway"]].dropna().itertuples(index=False):
        sets.setdefault(str(pathway), []).extend(targets.get(str(drug), ()))
    return {pathway: tuple(dict.fromkeys(genes)) for pathway, genes in sets.items() if genes}
