import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attrpriors.data import Dataset, beataml, gdsc_source
from attrpriors.data.download import File

PATIENTS, GENES = 20, ["AA", "BB", "CC", "DD"]
NETWORK = "gene_a gene_b weight\nAA BB 0.5\nBB AA 0.7\nBB CC 0.05\nCC CC 0.9\nAA DD 0.2\nAA ELSEWHERE 0.9\n"


def put(root: Path, file: File, text: str) -> File:
    path = root / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return File(file.path, file.url, hashlib.sha256(path.read_bytes()).hexdigest())


def sample(patient: int) -> str:
    return f"BA{patient:04}R"


def counts() -> pd.DataFrame:
    """Four genes as the file has them, one that codes for nothing, one of zeros, and a second AA of few counts."""
    number = np.random.default_rng(0).integers(1, 1000, size=(7, PATIENTS))
    number[5] = 0
    number[5, :5] = 7  # 75 % zeros
    number[6] = 1
    table = pd.DataFrame(number, columns=[sample(i) for i in range(PATIENTS)])
    kinds = ["protein_coding"] * 4 + ["lincRNA", "protein_coding", "protein_coding"]
    about = {"stable_id": [f"ENSG{i}" for i in range(7)], "display_label": [*GENES, "NC", "ZZ", "AA"]}
    for place, (name, values) in enumerate({**about, "description": ["what it is"] * 7, "biotype": kinds}.items()):
        table.insert(place, name, values)
    return table


def curves() -> pd.DataFrame:
    """Three drugs and every patient's sample; and rows that do not count."""
    rows = [
        (str(i), f"BA{i:04}D", sample(i), drug, "single-agent", "TRUE", str(1.0 + i + j))
        for i in range(PATIENTS)
        for j, drug in enumerate(["Venetoclax", "Trametinib", "17-AAG (Tanespimycin)"])
    ]
    rows += [("0", "", sample(0), "Venetoclax", "single-agent", "TRUE", "4.0")]  # again: the mean of logarithms
    rows += [("0", "", sample(1), "Venetoclax", "single-agent", "TRUE", "9.0")]  # a second sample of a patient
    rows += [("3", "", sample(3), "A - B", "combination", "TRUE", "9.0")]
    rows += [("3", "", sample(3), "Left out", "single-agent", "FALSE", "9.0")]
    rows += [("3", "", "", "Trametinib", "single-agent", "TRUE", "9.0")]
    rows += [("3", "", sample(3), "Not fitted", "single-agent", "TRUE", "")]
    columns = ["dbgap_subject_id", "dbgap_dnaseq_sample", "dbgap_rnaseq_sample", "inhibitor", "type"]
    return pd.DataFrame(rows, columns=[*columns, "paper_inclusion", "ic50"])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with made-up files of the published form, which count as verified."""
    for name, table in {"COUNTS": counts(), "CURVES": curves()}.items():
        file = put(tmp_path, getattr(beataml, name), table.to_csv(sep="\t", index=False))
        monkeypatch.setattr(beataml, name, file)
    monkeypatch.setattr(beataml, "FILES", (beataml.COUNTS, beataml.CURVES))
    symbols = "Approved symbol\tNCBI Gene ID(supplied by NCBI)\r\nAA\t11\r\nNONE\t\r\nBB\t12\r\n"
    monkeypatch.setattr(beataml, "SYMBOLS", put(tmp_path, gdsc_source.SYMBOLS, symbols))
    (tmp_path / "network.txt").write_text(NETWORK)
    return tmp_path


def loaded(root: Path, **settings: object) -> Dataset:
    return beataml.load(seed=1, root=str(root), network=str(root / "network.txt"), **settings)  # type: ignore[arg-type]


def test_genes_code_for_proteins_are_counted_in_most_samples_and_named_once(root: Path) -> None:
    found = beataml.expressed(str(root))
    assert list(found.columns) == GENES
    table = counts().iloc[:, 4:].to_numpy()
    np.testing.assert_allclose(found.to_numpy()[3], np.log2(1 + 1e6 * table[:4, 3] / table[:, 3].sum()), rtol=1e-6)


def test_a_division_by_the_length_of_a_gene_would_not_matter(root: Path) -> None:
    one = loaded(root).train.x[:, 3:]
    found = beataml.expressed(str(root)) - np.log2([2.0, 10.0, 0.5, 30.0])  # counts per million and kilobase
    kept = found.loc[np.unique(loaded(root).train.unit)]
    expected = (found.loc[loaded(root).train.unit] - kept.mean()) / kept.std(ddof=0)
    np.testing.assert_allclose(one, expected, atol=1e-4)


def test_rows_are_single_drugs_of_one_sample_a_patient_in_ln_ic50(root: Path) -> None:
    data = loaded(root)
    assert data.features == ("drug=17-AAG (Tanespimycin)", "drug=Trametinib", "drug=Venetoclax", *GENES)
    found = {}
    for part in data.parts.values():
        assert part.offset is not None
        drug = part.x[:, :3].argmax(1).tolist()
        found |= dict(zip(zip(part.unit, drug, strict=True), (part.y + part.offset).tolist(), strict=True))
    expected = {(sample(i), (2, 1, 0)[j]): np.log(1.0 + i + j) for i in range(PATIENTS) for j in range(3)}
    expected[sample(0), 2] = (np.log(1.0) + np.log(4.0)) / 2
    assert found == pytest.approx(expected, abs=1e-5)
    assert [len(np.unique(part.unit)) for part in data.parts.values()] == [13, 3, 4]


def named(data: Dataset) -> dict[tuple[str, str], float]:
    assert data.graph is not None
    ends = [(data.features[i], data.features[j]) for i, j in data.graph.edges.T.tolist()]
    return dict(zip(ends, data.graph.weight.tolist(), strict=True))


def test_the_network_has_each_pair_of_genes_above_the_threshold_once(root: Path) -> None:
    assert named(loaded(root)) == pytest.approx({("AA", "BB"): 0.7, ("AA", "DD"): 0.2})
    assert named(loaded(root, threshold=0.01))[("BB", "CC")] == pytest.approx(0.05)


def test_entrez_numbers_are_looked_up(root: Path) -> None:
    (root / "network.txt").write_text("12\t11\t0.4\n11\t99\t0.9\n")
    assert named(loaded(root)) == pytest.approx({("AA", "BB"): 0.4})


def test_the_genes_of_the_network_alone_can_be_kept(root: Path) -> None:
    data = loaded(root, genes="network")
    assert data.features[3:] == ("AA", "BB", "DD")
    assert named(data) == pytest.approx({("AA", "BB"): 0.7, ("AA", "DD"): 0.2})


def test_a_control_has_as_many_edges_that_weigh_the_same(root: Path) -> None:
    data = loaded(root, graph="uniform")
    assert data.graph is not None
    assert data.own_graph is not None
    assert data.graph.weight.tolist() == [1, 1]
    assert data.own_graph.weight.tolist() == pytest.approx([0.7, 0.2])


def test_its_configuration_loads_it(root: Path, configured: Callable[..., Dataset]) -> None:
    data = configured("beataml", root=str(root), network=str(root / "network.txt"))
    assert data.name == "beataml"
    assert data.train.x[:, :3].max() == 12
    assert len(data.provenance.files) == 3
    assert torch.isfinite(data.train.x).all()


def test_without_the_files_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"counts_dbgap.txt is missing: run `make data`"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("AA BB\n", "expected two genes and a weight a line; found 2 columns"),
        ("AA BB 1\nAA CC much\n", "expected a weight of 0 or more in the third column; found 'much' in line 2"),
        ("QQ PP 1\n", "none of its 1 edges joins two genes of the data with a weight above 0.1; .* found QQ and PP"),
        ("AA BB 0.1\n", "none of its 1 edges joins two genes of the data with a weight above 0.1"),
    ],
)
def test_a_network_without_an_edge_to_use_is_refused(root: Path, text: str, sentence: str) -> None:
    (root / "network.txt").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        loaded(root)


def test_a_network_that_is_not_there_and_another_choice_of_genes_are_refused(root: Path) -> None:
    (root / "network.txt").unlink()
    with pytest.raises(ValueError, match=r"there is no file .*network.txt: data.network names a list of edges"):
        loaded(root)
    with pytest.raises(ValueError, match="genes is 'some': expected all or network"):
        loaded(root, genes="some")


def test_a_table_of_another_form_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beataml, "CURVES", put(root, beataml.CURVES, "a\tb\n1\t2\n"))
    with pytest.raises(ValueError, match=r"curve_fits_v4_dbgap.txt has no column dbgap_subject_id: found a, b"):
        loaded(root)
