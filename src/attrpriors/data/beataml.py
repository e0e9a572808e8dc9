"""BEAT AML 2: ln IC50 of single drugs on the cells of patients with leukaemia, all waves. Real data, as the paper's.

Bottomly et al. 2022 (doi 10.1016/j.ccell.2022.07.002), CC BY 4.0. Expression as Erion et al. 2021 (arXiv 1906.10670v2,
Methods 5) as far as the public tables allow: counts of protein-coding genes, without those of more than 70 % zeros, as
log2(1 + counts per million), standardised for each gene over the training patients. The paper divides by the length of
a gene too, which that standardisation undoes, and corrects batches (ComBat), of which the tables know nothing.

Letters: S samples, P patients, R responses, G genes, E edges.
"""

import numpy as np
import pandas as pd

from attrpriors.data import Dataset, Provenance
from attrpriors.data.download import File, verified
from attrpriors.data.edge_list import digest, edges
from attrpriors.data.gdsc_source import SYMBOLS
from attrpriors.data.network import Choice
from attrpriors.data.pairs import Screen, assemble

ADDRESS = "https://github.com/biodev/beataml2.0_data/raw/6e403e142469dfb8ab20af0a4e6bf0fdaaf474e8"
COUNTS = File(  # 122,488,199 bytes
    "beataml/beataml_waves1to4_counts_dbgap.txt",
    f"{ADDRESS}/beataml_waves1to4_counts_dbgap.txt",
    "26302116e26138e980a7816303a0886a89a3c951f3ba673051a46c96a658680d",
)
CURVES = File(  # 19,047,078 bytes
    "beataml/beataml_probit_curve_fits_v4_dbgap.txt",
    f"{ADDRESS}/beataml_probit_curve_fits_v4_dbgap.txt",
    "d4bc5f0d91f66314107411e0f2511adc987e29df5b83d9b03df56d3d12928314",
)
FILES = (COUNTS, CURVES)
ABOUT = ["stable_id", "display_label", "description", "biotype"]  # columns of the counts that are no samples
ASKED = ["dbgap_subject_id", "dbgap_rnaseq_sample", "inhibitor", "type", "paper_inclusion", "ic50"]
ZEROS = 0.7  # share of the samples without a count above which a gene is left out


def load(
    seed: int,
    network: str,
    root: str = "data",
    threshold: float = 0.1,
    drug_scale: float = 12.0,
    lines: int | None = None,
    validation: float = 0.16,
    test: float = 0.2,
    graph: Choice = "own",
    genes: str = "all",
) -> Dataset:
    """Rows of (patient, drug), split by patient, with the gene network of the file `network`.

    threshold: of the weights of its edges. genes: all, or only those of the network. lines: training patients to keep.
    """
    if genes not in ("all", "network"):
        raise ValueError(f"beataml: genes is {genes!r}: expected all or network")
    expression, curves = expressed(root), responses(root)
    curves = curves[curves["dbgap_rnaseq_sample"].isin(expression.index)]
    curves = curves[curves["dbgap_rnaseq_sample"] == curves["dbgap_subject_id"].map(fullest(curves))]
    ln_ic50 = np.log(curves["ic50"]).groupby([curves["dbgap_rnaseq_sample"], curves["inhibitor"]]).mean()
    if ln_ic50.empty:
        raise ValueError(f"{CURVES.path} has no response of a sample in {COUNTS.path}")
    joined, weight = edges(network, expression.columns, threshold, SYMBOLS, root)
    if genes == "network":
        kept = np.unique(joined)
        expression, joined = expression.iloc[:, kept], np.searchsorted(kept, joined)
    samples, sample = np.unique(ln_ic50.index.get_level_values(0), return_inverse=True)
    drugs, drug = np.unique(ln_ic50.index.get_level_values(1), return_inverse=True)
    files = {file.path: file.sha256 for file in FILES}
    return assemble(
        Screen(sample, drug, ln_ic50.to_numpy(), expression.loc[samples], tuple(map(str, drugs)), joined, weight),
        name="beataml",
        seed=seed,
        drug_scale=drug_scale,
        lines=lines,
        validation=validation,
        test=test,
        graph=graph,
        provenance=Provenance("Beat AML 2 drug response", files=files | {network: digest(network)}),
    )


def expressed(root: str) -> pd.DataFrame:
    """log2(1 + counts per million) (S, G) of the protein-coding genes with at most ZEROS zeros, by symbol."""
    path = verified(root, COUNTS)
    table = pd.read_csv(path, sep="\t")
    check(path.name, table, ABOUT)
    counts = table.drop(columns=ABOUT).to_numpy(np.float64)  # (genes, S)
    named = (table["biotype"] == "protein_coding") & table["display_label"].notna()
    kept = named & ((counts == 0).mean(1) <= ZEROS)
    most = pd.Series(counts.sum(1))[kept].sort_values(ascending=False, kind="stable").index
    first = table.loc[most, "display_label"].drop_duplicates().index.sort_values()  # of one symbol, the most counted
    scaled = np.log2(1 + 1e6 * counts[first] / counts.sum(0)).astype(np.float32)
    return pd.DataFrame(scaled.T, table.columns.drop(ABOUT), table.loc[first, "display_label"].astype(str))


def responses(root: str) -> pd.DataFrame:
    """The rows of single drugs that the authors of the data included in their paper, with a sample and an IC50."""
    path = verified(root, CURVES)
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    check(path.name, table, ASKED)
    table["ic50"] = pd.to_numeric(table["ic50"], errors="coerce")
    included = table["paper_inclusion"].str.upper() == "TRUE"
    return table[(table["type"] == "single-agent") & included & (table["ic50"] > 0)]


def fullest(curves: pd.DataFrame) -> pd.Series:
    """Patient -> the sample with most responses, of equal ones the first by name: one sample a patient."""
    count = curves.groupby(["dbgap_subject_id", "dbgap_rnaseq_sample"]).size().reset_index(name="n")
    ordered = count.sort_values(["n", "dbgap_rnaseq_sample"], ascending=[False, True])
    return ordered.drop_duplicates("dbgap_subject_id").set_index("dbgap_subject_id")["dbgap_rnaseq_sample"]


def check(name: str, table: pd.DataFrame, columns: list[str]) -> None:
    """ValueError where a table lacks one of `columns`."""
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{name} has no column {missing[0]}: found {', '.join(map(str, table.columns[:8]))}, ...")
