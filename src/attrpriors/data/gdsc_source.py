"""The published files of the drug-response data, and how the tidy tables of `gdsc` come out of them.

Sources: TGSA (responses, profiles, network), ARCANet and DeepCDR (annotation of drugs and cell lines).
"""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from attrpriors.data.download import File, verified
from attrpriors.data.unpickle import ARRAYS, GRAPHS, unpickle

ADDRESS = "https://raw.githubusercontent.com"
TGSA = "violet-sto/TGSA/cdd9903b889112b04325bec9f61935d05d9e9179/data"
PROFILES = f"{TGSA}/CellLines_DepMap/CCLE_580_18281/census_706"
INDEX = f"{TGSA}/similarity_augment/dict"
ARCANET = "alonsocampana/ARCANet/3fcd0c60269ff79253f161322032159d800da8df/data"
DEEPCDR = "kimmo1019/DeepCDR/4dc5a901d580511335b9a54ffce9fb188f9f068d/data"


def source(path: str, folder: str, sha256: str, published: str = "") -> File:
    """A file of a repository folder; `published` is its name there, where it is not the name here."""
    return File(f"gdsc/source/{path}", f"{ADDRESS}/{folder}/{quote(published or Path(path).name)}", sha256)


EXPRESSION = source(
    "tgsa/cell_feature_exp.npy",
    PROFILES,
    "1d4f184d6f85fd9d46252eade67be4cc2318d0019f9d3b334f94e14b4c4308ff",
)
COPY_NUMBER = source(
    "tgsa/cell_feature_cn.npy",
    PROFILES,
    "2333d6c9a3348fc49966919fb1ce36a52cdd768b5930ce58faf18e5f199eb38a",
)
MUTATION = source(
    "tgsa/mu.csv",
    PROFILES,
    "3bfaacd021ba5e2a34bfe449750e0056d5d6b85940702fe6aabbcc36bfc6386d",
)
EDGES = {
    "0.95": source(
        "tgsa/edge_index_PPI_0.95.npy",
        PROFILES,
        "13a05a51739051e3ff1c5638bc409af16461d47ad8777f534844909cd054b9f8",
    ),
    "0.90": source(
        "tgsa/edge_index_PPI_0.9.npy",
        PROFILES,
        "fed1e1a5a9d9f664654939b392df5f2f7d769dcbd548b27b977f7fa0215b500e",
    ),
    "0.85": source(
        "tgsa/edge_index_PPI_0.85.npy",
        PROFILES,
        "f1ce6a59e013546cab1d7ed249368a883bcc4b46fc2ffdda68174df4d0733750",
    ),
}
RESPONSES = source(
    "tgsa/drug_idx_cell_idx_ic50",
    INDEX,
    "827e96c5cd4636b6a42db6436c5e6a3053df2498fb7543359c9d67e39642b7c7",
)
LINES = source(
    "tgsa/cell_idx2id_dict",
    INDEX,
    "6633203d9d5d5defe60334d8244cdc159705c31ada96b8dfea49d7462cf7b544",
)
DRUGS = source(
    "tgsa/drug_idx2name_dict",
    INDEX,
    "c1c9bb1bb7103365eccb94d5a93fafe485c90abfa8e47841594f73faf0352319",
)
SMILES = source(
    "tgsa/drug_smiles.csv",
    f"{TGSA}/Drugs",
    "7cc578a3419549cf3a032c4b2a4e9e06b33e284fb06d531a5a7d23e27f0d8b97",
)
SYMBOLS = source(
    "tgsa/enterez_NCBI_to_hugo_gene_symbol_march_2019.txt",
    TGSA,
    "911c049c811f8b7f8cd5fb529379e5331231424f98432fe0f0e23851677e7ce0",
)
COMPOUNDS = source(
    "arcanet/screened_compounds_rel_8.4.csv",
    ARCANET,
    "d3cbb8b595980b36bf92d54af1da1dd995d2e2ce624c7cc70aacf2a754dce782",
)
DRUG_LIST = source(
    "deepcdr/1.Drug_listMon_Jun_24_09_00_55_2019.csv",
    f"{DEEPCDR}/GDSC",
    "b88757dd7aa7979251832b4866ff605f716854705d49ea4cb256f794e262a74e",
    published="1.Drug_listMon Jun 24 09_00_55 2019.csv",
)
ANNOTATION = source(
    "deepcdr/Cell_lines_annotations_20181226.txt",
    f"{DEEPCDR}/CCLE",
    "77648d1cada2f325ba2c049a5fb5408434f73b963c8e1148fb82ba2653e469e1",
)
FILES = (
    *(EXPRESSION, COPY_NUMBER, MUTATION, *EDGES.values(), RESPONSES, LINES, DRUGS, SMILES, SYMBOLS),
    *(COMPOUNDS, DRUG_LIST, ANNOTATION),
)


def tables(root: str | Path) -> dict[str, pd.DataFrame]:
    """Every tidy table by its name, from verified sources."""
    mutation = pd.read_csv(verified(root, MUTATION))
    genes = mutation.columns[1:].str.strip("()").tolist()  # the header gives the order of the genes: "(10000)"
    mutation.columns = pd.Index(["depmap_id", *genes])
    responses = ic50(root)
    return {
        "expression": profile(root, EXPRESSION, genes),
        "mutation": mutation,
        "copy_number": profile(root, COPY_NUMBER, genes),
        "ic50": responses,
        **{f"ppi_edges_{score}": edges(root, file, genes) for score, file in EDGES.items()},
        "genes": symbols(root, genes),
        "drugs": drugs(root, responses["drug"].value_counts()),
        "cell_lines": cell_lines(root, responses["depmap_id"].value_counts()),
    }


def text(root: str | Path, file: File, separator: str = ",") -> pd.DataFrame:
    """A published table as it is written: no number is parsed, "NA" stays "NA"."""
    return pd.read_csv(verified(root, file), sep=separator, dtype=str, keep_default_na=False)


def ic50(root: str | Path) -> pd.DataFrame:
    names, ids, triples = (unpickle(verified(root, file).read_bytes(), ARRAYS) for file in (DRUGS, LINES, RESPONSES))
    return pd.DataFrame(
        {
            "drug": [names[int(number)] for number in triples[:, 0]],
            "depmap_id": [ids[int(number)] for number in triples[:, 1]],
            "ln_ic50": triples[:, 2],
        }
    )


def profile(root: str | Path, file: File, genes: list[str]) -> pd.DataFrame:
    """One value for each line and gene, from a graph for each line whose nodes are the genes."""
    graphs = unpickle(verified(root, file).read_bytes(), GRAPHS).item()
    values = np.stack([graph.x.numpy()[:, 0] for graph in graphs.values()])
    table = pd.DataFrame(values, columns=genes)
    table.insert(0, "depmap_id", list(graphs))
    return table


def edges(root: str | Path, file: File, genes: list[str]) -> pd.DataFrame:
    """Each undirected edge once, as Entrez numbers a < b; the source lists both directions."""
    both = np.array(genes, dtype=np.int64)[np.load(verified(root, file), allow_pickle=False)]
    return pd.DataFrame(np.unique(np.sort(both, axis=0).T, axis=0), columns=["entrez_a", "entrez_b"])


def symbols(root: str | Path, genes: list[str]) -> pd.DataFrame:
    known = text(root, SYMBOLS, "\t").set_index("NCBI Gene ID(supplied by NCBI)")["Approved symbol"]
    return pd.DataFrame({"entrez": genes, "hugo": known[genes].to_numpy()})


def plain(name: pd.Series) -> pd.Series:
    """A drug's name without case and punctuation."""
    return name.str.lower().str.replace("[^a-z0-9]", "", regex=True)


def latest(table: pd.DataFrame, name: str, order: list[str]) -> pd.DataFrame:
    """One row for each plain drug name: the last one in `order`."""
    return table.assign(key=plain(table[name])).sort_values(order).drop_duplicates("key", keep="last").set_index("key")


def drugs(root: str | Path, count: pd.Series) -> pd.DataFrame:
    """Drugs in the source's order with structure, targets and pathways, found by name.

    Of a drug that is listed more than once: the Sanger screen ("MGH" < "SANGER"), then the highest id.
    """
    names = unpickle(verified(root, DRUGS).read_bytes(), ARRAYS)
    name = pd.Series([names[number] for number in range(len(names))])
    structure = text(root, SMILES).set_index("drug_name").loc[name]
    compounds, listed = text(root, COMPOUNDS), text(root, DRUG_LIST)
    compounds["number"], listed["number"] = compounds["DRUG_ID"].astype(int), listed["drug_id"].astype(int)
    gdsc = latest(compounds, "DRUG_NAME", ["SCREENING_SITE", "number"]).reindex(plain(name))
    deepcdr = latest(listed, "Name", ["number"]).reindex(plain(name))
    columns: dict[str, Iterable[object]] = {
        "drug": name,
        "drug_idx": range(len(name)),
        "n_ic50": count[name],
        "pubchem_cid": structure["CID"],
        "canonical_smiles": structure["CanonicalSMILES"],
        "target": gdsc["TARGET"],
        "target_pathway": gdsc["TARGET_PATHWAY"],
        "gdsc_drug_id": gdsc["DRUG_ID"],
        "deepcdr_target": deepcdr["Targets"],
        "deepcdr_target_pathway": deepcdr["Target pathway"],
        "deepcdr_drug_id": deepcdr["drug_id"],
    }
    return pd.DataFrame({column: list(values) for column, values in columns.items()})


def cell_lines(root: str | Path, count: pd.Series) -> pd.DataFrame:
    """Cell lines in the source's order with their CCLE annotation; a CCLE id is NAME_LINEAGE."""
    ids = unpickle(verified(root, LINES).read_bytes(), ARRAYS)
    line = [ids[number] for number in range(len(ids))]
    known = text(root, ANNOTATION, "\t").set_index("depMapID").loc[line]
    columns: dict[str, Iterable[object]] = {
        "depmap_id": line,
        "ccle_id": known["CCLE_ID"],
        "name": known["Name"],
        "lineage": known["CCLE_ID"].str.partition("_")[2],
        "site_primary": known["Site_Primary"],
        "histology": known["Histology"],
        "type": known["type"],
        "type_refined": known["type_refined"],
        "tcga_code": known["tcga_code"],
        "pathology": known["Pathology"],
        "gender": known["Gender"],
        "n_ic50": count[line],
    }
    return pd.DataFrame({column: list(values) for column, values in columns.items()})
