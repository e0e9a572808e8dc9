"""GDSC: ln IC50 of 170 drugs on 580 cancer cell lines, 706 genes, STRING protein network. Real data.

82,833 responses (Genomics of Drug Sensitivity in Cancer), expression (CCLE/DepMap, standardised for each gene over
all 580 lines by its source), genes of the COSMIC census. `prepare` makes tidy tables of the published files, once.
"""

import gzip
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from attrpriors.data import Dataset, Provenance, gdsc_source
from attrpriors.data.network import Choice
from attrpriors.data.pairs import Screen, assemble
from attrpriors.data.target import pathways, targets
from attrpriors.record import write

FILES = gdsc_source.FILES
TABLES = {  # sha256 of the content, unpacked
    "cell_lines.csv": "b2f3792f45762c9ab859ceb822b8676bf13bc77239ea55bcc866ce3de2a4f0d4",
    "drugs.csv": "c549c573f2558258568d8ae498b14125eff9d9fe98e6ee684bd2b405ac041210",
    "genes.csv": "23afea4a83724e3ba51989cdc605891e791e49482608c3d096ace01e91867d29",
    "ppi_edges_0.85.csv": "c55dd6f85e31bed15ac80b5115db944defb910fdf09242e0105269c6fdff4872",
    "ppi_edges_0.90.csv": "2986e61b031d4aebc1f474176b2bcb0544e135a96c827470d2355252c7d6718b",
    "ppi_edges_0.95.csv": "084959b68709a3fa57a228e4c5d66d29323b8a691c559f0302281c6119fc5820",
    "copy_number.csv.gz": "11009ac460a7762cf77f6b8e62ed60aa57d69a06e3a935476470ffde7e247582",
    "expression.csv.gz": "a82f4c7cd65a22a8f9944adb6a25c665239ad4a9a1b10f6f63fa84ed30e9cc1c",
    "ic50.csv.gz": "8f68147fb74eac4a112a9c73bfb8447bb5ffd931e2e9041bceb174b422eff534",
    "mutation.csv.gz": "cda66eecd6b05d0baa838f99eda95708fe2e5be64d278de763715de7acc62c4a",
}
SCORES = {0.95: "ppi_edges_0.95.csv", 0.9: "ppi_edges_0.90.csv", 0.85: "ppi_edges_0.85.csv"}


def load(
    seed: int,
    root: str = "data",
    score: float = 0.95,
    drug_scale: float = 13.0,
    lines: int | None = None,
    validation: float = 0.16,
    test: float = 0.2,
    graph: Choice = "own",
    lineage: str | None = None,
    clip: float | None = None,
) -> Dataset:
    """Rows of (cell line, drug), split by cell line; an edge joins genes of a STRING score above `score`.

    graph: that network, or a control in its place (data.network). lineage: of cell_lines.csv, to keep its lines alone.
    clip: bound of the standardised expression (data.pairs), None for none.
    """
    if score not in SCORES:
        raise ValueError(f"gdsc: score is {score}: expected one of {', '.join(map(str, SCORES))}")
    names = ["expression.csv.gz", "ic50.csv.gz", "genes.csv", "drugs.csv", SCORES[score]]
    expression, ic50, genes, listed, edges = (table(root, name) for name in names)
    expression = expression.set_index("depmap_id")
    drugs = tuple(sorted(ic50["drug"].unique()))
    if lineage is not None:
        names = [*names, "cell_lines.csv"]
        annotated = table(root, "cell_lines.csv").set_index("depmap_id")["lineage"]
        if lineage not in set(annotated):
            raise ValueError(f"gdsc: lineage is {lineage!r}: expected one of {', '.join(sorted(set(annotated)))}")
        kept = annotated.index[annotated == lineage]
        expression, ic50 = expression[expression.index.isin(kept)], ic50[ic50["depmap_id"].isin(kept)]
    aims = targets(listed, genes["hugo"])
    column = {int(entrez): number for number, entrez in enumerate(expression.columns)}
    return assemble(
        Screen(
            line=expression.index.get_indexer(pd.Index(ic50["depmap_id"])),
            drug=pd.Index(drugs).get_indexer(pd.Index(ic50["drug"])),
            ln_ic50=ic50["ln_ic50"].to_numpy(),
            expression=expression.set_axis(genes["hugo"], axis=1),
            drugs=drugs,
            edges=np.array([[column[gene] for gene in edges[end]] for end in ("entrez_a", "entrez_b")]),
            targets=aims,
            gene_sets=pathways(listed, aims),
        ),
        name="gdsc",
        seed=seed,
        drug_scale=drug_scale,
        lines=lines,
        validation=validation,
        test=test,
        graph=graph,
        clip=clip,
        provenance=Provenance("GDSC drug response", files={f"gdsc/{name}": TABLES[name] for name in names}),
    )


def prepare(root: str | Path) -> None:
    """Makes every table that is missing, damaged or altered; where all are as declared, does nothing."""
    wanted = [name for name in TABLES if not intact(root, name)]
    made = gdsc_source.tables(root) if wanted else {}
    for name in wanted:
        content = made[name.partition(".csv")[0]].to_csv(index=False, lineterminator="\n").encode()
        if hashlib.sha256(content).hexdigest() != TABLES[name]:
            raise ValueError(f"{name} came out of its verified sources with another content than was declared")
        write(Path(root) / "gdsc" / name, gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


def intact(root: str | Path, name: str) -> bool:
    try:
        return bool(verified_content(root, name))
    except (FileNotFoundError, ValueError):
        return False


def verified_content(root: str | Path, name: str) -> bytes:
    """The bytes of a prepared table, unpacked; one sentence where they are not the ones declared."""
    path = Path(root) / "gdsc" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `make data`")
    try:
        content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}): run `make data`") from error
    if hashlib.sha256(content).hexdigest() != TABLES[name]:
        raise ValueError(f"{path} is not the prepared table (its sha256 differs): run `make data`")
    return content


def table(root: str | Path, name: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(verified_content(root, name)))
