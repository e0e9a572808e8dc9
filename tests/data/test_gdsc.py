import gzip
import hashlib
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from attrpriors.data import Dataset, gdsc, gdsc_source
from attrpriors.data.unpickle import ARRAYS, GRAPHS, Record, unpickle

MIRROR = os.environ.get("ATTRPRIORS_MIRROR", "")
real = pytest.mark.skipif(not MIRROR, reason="ATTRPRIORS_MIRROR names no folder of real data")

LINES, GENES, DRUGS = [f"ACH-{i}" for i in range(6)], ["30", "7", "100"], ["Drug-A", "drug b"]
EXPRESSION = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


class Data:
    """Pickled under the name of torch_geometric's class."""


def graphs(monkeypatch: pytest.MonkeyPatch, values: dict[str, torch.Tensor]) -> bytes:
    """A .npy file in the form of the published profiles: a dictionary of torch_geometric graphs, pickled."""
    for name in ("torch_geometric", "torch_geometric.data", "torch_geometric.data.data"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["torch_geometric.data.data"], "Data", Data, raising=False)
    monkeypatch.setattr(Data, "__module__", "torch_geometric.data.data")
    nodes = {}
    for line, value in values.items():
        nodes[line] = Data()
        nodes[line].__dict__ = {"x": value, "edge_index": None}
    return npy(np.array(nodes, dtype=object))


def pickled(value: object) -> bytes:
    """As NumPy 1 wrote it: the module was not yet called numpy._core."""
    return pickle.dumps(value, protocol=3).replace(b"numpy._core.", b"numpy.core.")


def npy(value: np.ndarray) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + pickled(value)


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.target),)


def test_an_array_comes_back_as_it_was() -> None:
    value = np.random.default_rng(0).normal(size=(5, 3))
    assert np.array_equal(unpickle(pickled(value), ARRAYS), value)


def test_a_dictionary_needs_no_name_at_all() -> None:
    assert unpickle(pickled({0: "a", 1: "b"}), {}) == {0: "a", 1: "b"}


def test_graphs_come_back_without_torch_geometric(monkeypatch: pytest.MonkeyPatch) -> None:
    value = torch.randn(4, 1, generator=torch.Generator().manual_seed(0))
    content = graphs(monkeypatch, {"one": value, "two": 2 * value})
    monkeypatch.undo()
    assert "torch_geometric" not in sys.modules
    found = unpickle(content, GRAPHS).item()
    assert list(found) == ["one", "two"]
    assert type(found["one"]) is Record
    assert torch.equal(found["two"].x, 2 * value)


def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    for content in (pickled(Evil(target)), npy(np.array({"a": Evil(target)}, dtype=object))):
        with pytest.raises(pickle.UnpicklingError, match=r"asks for posix.mkdir, which is not allowed"):
            unpickle(content, GRAPHS)
    assert not target.exists()
    pickle.loads(pickled(Evil(target)))  # what a plain load would have done
    assert target.exists()


def test_a_malicious_pickle_inside_a_tensor_is_refused_and_does_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"

    class Storage:
        def __reduce__(self) -> tuple:
            return torch.storage._load_from_bytes, (pickle.dumps(Evil(target), protocol=2),)

    with pytest.raises(pickle.UnpicklingError):
        unpickle(pickled(Storage()), GRAPHS)
    assert not target.exists()


@pytest.mark.parametrize("foreign", [Counter("ab"), Path("x"), eval, Record(), np.float64(1)])
def test_a_class_or_function_that_is_not_listed_is_refused(foreign: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        unpickle(pickled(foreign), GRAPHS)


def test_a_truncated_pickle_is_refused() -> None:
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        unpickle(pickled(np.arange(100.0))[:-50], ARRAYS)


def profiles(monkeypatch: pytest.MonkeyPatch, values: np.ndarray) -> bytes:
    return graphs(monkeypatch, {line: torch.tensor(row)[:, None] for line, row in zip(LINES, values, strict=True)})


def array(path: Path, value: np.ndarray) -> bytes:
    np.save(path, value)
    return path.read_bytes()


def published(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> dict[str, bytes]:
    """Every source in its published form: six lines, three genes, two drugs."""
    triples = [(0, line, 1.5 + line) for line in range(6)] + [(1, line, -2.25) for line in range(3)]
    annotation = "CCLE_ID depMapID Name Pathology Site_Primary Histology Gender type type_refined tcga_code"
    for i in reversed(range(6)):
        annotation += f"\r\nL{i}_BIG_BOWEL ACH-{i} NA primary bowel carcinoma  lung lung_NSC LUAD"
    edges = array(scratch / "edges.npy", np.array([[0, 1, 0, 2], [1, 0, 2, 0]]))
    mutation = "DepMap_ID,(30),(7),(100)\n" + "".join(f"{line},0,1,0\n" for line in LINES)
    return {
        "tgsa/cell_feature_exp.npy": profiles(monkeypatch, EXPRESSION),
        "tgsa/cell_feature_cn.npy": profiles(monkeypatch, 2 * EXPRESSION),
        "tgsa/mu.csv": mutation.encode(),
        **{f"tgsa/edge_index_PPI_{score}.npy": edges for score in ("0.95", "0.9", "0.85")},
        "tgsa/drug_idx_cell_idx_ic50": pickled(np.array(triples)),
        "tgsa/cell_idx2id_dict": pickled(dict(enumerate(LINES))),
        "tgsa/drug_idx2name_dict": pickled(dict(enumerate(DRUGS))),
        "tgsa/drug_smiles.csv": b"drug_name,CID,CanonicalSMILES\ndrug b,2,CC\nDrug-A,1,C\n",
        "tgsa/enterez_NCBI_to_hugo_gene_symbol_march_2019.txt": (
            b"Approved symbol\tNCBI Gene ID(supplied by NCBI)\r\nG7\t7\r\nNONE\t\r\nG30\t30\r\nG100\t100\r\n"
        ),
        "arcanet/screened_compounds_rel_8.4.csv": (
            b"DRUG_ID,SCREENING_SITE,DRUG_NAME,TARGET,TARGET_PATHWAY\n"
            b'5,SANGER,Drug A,"X, Y",old\n19,SANGER,DRUG-A,X,cycle\n99,MGH,Drug-A,Z,other\n'
        ),
        "deepcdr/1.Drug_listMon_Jun_24_09_00_55_2019.csv": (
            b'drug_id,Name,Targets,Target pathway\n10,Drug.B,"P, Q",way\n9,Drug B,P,way\n'
        ),
        "deepcdr/Cell_lines_annotations_20181226.txt": annotation.replace(" ", "\t").encode(),
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the miniature sources, which count as verified, and the tables they declare."""
    (tmp_path / "gdsc").mkdir()
    for name, content in published(monkeypatch, tmp_path).items():
        path = tmp_path / "gdsc/source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(gdsc_source, "verified", lambda root, file: Path(root) / file.path)
    declared = {name: table.to_csv(index=False) for name, table in gdsc_source.tables(tmp_path).items()}
    for name in gdsc.TABLES:
        digest = hashlib.sha256(declared[name.partition(".csv")[0]].encode()).hexdigest()
        monkeypatch.setitem(gdsc.TABLES, name, digest)
    return tmp_path


def test_tables_come_out_of_the_sources_in_tidy_form(root: Path) -> None:
    gdsc.prepare(root)
    folder = root / "gdsc"
    assert (folder / "genes.csv").read_text() == "entrez,hugo\n30,G30\n7,G7\n100,G100\n"
    assert (folder / "ppi_edges_0.90.csv").read_text() == "entrez_a,entrez_b\n7,30\n30,100\n"
    expression = pd.read_csv(folder / "expression.csv.gz", index_col="depmap_id")
    assert list(expression.index) == LINES
    assert list(expression.columns) == GENES
    assert np.array_equal(expression.to_numpy(np.float32), EXPRESSION)
    assert gzip.decompress((folder / "ic50.csv.gz").read_bytes()).startswith(
        b"drug,depmap_id,ln_ic50\nDrug-A,ACH-0,1.5\nDrug-A,ACH-1,2.5\n"
    )


def test_drugs_are_found_by_plain_name_the_sanger_screen_and_the_highest_id_first(root: Path) -> None:
    gdsc.prepare(root)
    assert (root / "gdsc/drugs.csv").read_text().splitlines()[1:] == [
        "Drug-A,0,6,1,C,X,cycle,19,,,",
        'drug b,1,3,2,CC,,,,"P, Q",way,10',
    ]


def test_cell_lines_keep_the_annotation_as_it_is_written(root: Path) -> None:
    gdsc.prepare(root)
    assert (root / "gdsc/cell_lines.csv").read_text().splitlines()[1] == (
        "ACH-0,L0_BIG_BOWEL,NA,BIG_BOWEL,bowel,carcinoma,lung,lung_NSC,LUAD,primary,,2"
    )


def test_a_second_call_does_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gdsc.prepare(root)
    before = {path: path.stat().st_mtime_ns for path in (root / "gdsc").iterdir()}
    monkeypatch.setattr(gdsc_source, "tables", None)  # must not be called
    gdsc.prepare(root)
    assert {path: path.stat().st_mtime_ns for path in (root / "gdsc").iterdir()} == before


@pytest.mark.parametrize("name", ["ic50.csv.gz", "genes.csv"])
def test_an_altered_or_cut_table_is_refused_and_made_again(root: Path, name: str) -> None:
    gdsc.prepare(root)
    path = root / "gdsc" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{name} is (damaged|not the prepared table).*: run `make data`$"):
        gdsc.load(seed=0, root=str(root))
    gdsc.prepare(root)
    assert path.read_bytes() == whole


def test_tables_with_another_content_than_declared_are_not_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gdsc.TABLES, "cell_lines.csv", "0" * 64)
    with pytest.raises(ValueError, match=r"cell_lines.csv came out .* another content than was declared"):
        gdsc.prepare(root)
    assert [path.name for path in (root / "gdsc").iterdir()] == ["source"]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expression.csv.gz is missing: run `make data`"):
        gdsc.load(seed=0, root=str(tmp_path))


@pytest.mark.parametrize("score", [0.8, 95, float("nan")])
def test_a_score_without_a_network_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=f"score is {score}: expected one of 0.95, 0.9, 0.85"):
        gdsc.load(seed=0, score=score)


def test_rows_edges_and_names_are_those_of_the_tables(root: Path) -> None:
    gdsc.prepare(root)
    data = gdsc.load(seed=1, root=str(root), validation=0.2, test=0.3)
    assert data.features == ("drug=Drug-A", "drug=drug b", "G30", "G7", "G100")
    assert data.graph is not None
    pairs = [{data.features[i] for i in edge} for edge in data.graph.edges.T.tolist()]
    assert pairs == [{"G7", "G30"}, {"G30", "G100"}]
    for part in data.parts.values():
        assert part.offset is not None
        for x, y, line in zip(part.x, part.y + part.offset, part.unit, strict=True):
            number = LINES.index(line)
            assert float(y) == pytest.approx(1.5 + number if x[0] == 13 else -2.25, abs=1e-6)


def test_a_lineage_keeps_its_lines_and_every_drug(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gdsc.prepare(root)
    path = root / "gdsc/cell_lines.csv"
    content = path.read_text().replace("ACH-0,L0_BIG_BOWEL,NA,BIG_BOWEL", "ACH-0,L0_SKIN,NA,SKIN").encode()
    path.write_bytes(content)
    monkeypatch.setitem(gdsc.TABLES, "cell_lines.csv", hashlib.sha256(content).hexdigest())
    data = gdsc.load(seed=1, root=str(root), validation=0.2, test=0.2, lineage="BIG_BOWEL")
    assert {line for part in data.parts.values() for line in part.unit} == set(LINES[1:])
    assert data.features[:2] == ("drug=Drug-A", "drug=drug b")
    assert "gdsc/cell_lines.csv" in data.provenance.files
    with pytest.raises(ValueError, match="gdsc: lineage is 'BLOOD': expected one of BIG_BOWEL, SKIN"):
        gdsc.load(seed=1, root=str(root), lineage="BLOOD")


def test_its_configuration_loads_it(root: Path, configured: Callable[..., Dataset]) -> None:
    gdsc.prepare(root)
    data = configured("gdsc", root=str(root))
    assert data.name == "gdsc"
    assert data.shape == (5,)
    assert data.train.x[:, :2].max() == 13


@real
def test_the_prepared_tables_are_identical_to_the_reference(tmp_path: Path) -> None:
    (tmp_path / "gdsc").mkdir()
    (tmp_path / "gdsc/source").symlink_to(Path(MIRROR) / "gdsc/source")
    gdsc.prepare(tmp_path)
    for name in gdsc.TABLES:
        made, reference = ((folder / "gdsc" / name).read_bytes() for folder in (tmp_path, Path(MIRROR)))
        if name.endswith(".gz"):
            made, reference = gzip.decompress(made), gzip.decompress(reference)
        assert made == reference


@real
def test_the_real_screen_has_the_documented_counts() -> None:
    data = gdsc.load(seed=0, root=MIRROR)
    assert data.shape == (876,)
    assert sum(map(len, data.parts.values())) == 82833
    assert [len(np.unique(part.unit)) for part in data.parts.values()] == [371, 93, 116]
    assert data.graph is not None
    assert data.graph.edges.shape == (2, 1575)
    responses = pd.read_csv(Path(MIRROR) / "gdsc/ic50.csv.gz")["ln_ic50"]
    found = torch.cat([part.y + part.offset for part in data.parts.values()])
    np.testing.assert_allclose(np.sort(found), np.sort(responses), atol=1e-5)
