import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from attrpriors.data import Dataset, nhanes_paper
from attrpriors.data.download import File, git_blob_id

PEOPLE = 13442


def features(path: Path, columns: int = 118, people: int = PEOPLE) -> File:
    """A made-up table of the paper's form: sequence number, age with empty cells, indicator columns."""
    names = ["age", "sex_isFemale", *(f"lab_is{i}" for i in range(columns - 2))]
    rest = [",".join(row) for row in np.random.default_rng(0).integers(0, 2, (50, columns - 2)).astype(str)]
    rows = [f"{i + 20000},{'' if i % 9 == 0 else 25 + i % 50},{i % 3 == 0},{rest[i % 50]}" for i in range(people)]
    path.write_text("\n".join(["," + ",".join(names), *rows]) + "\n")
    return File(path.name, "", "", git_blob_id(path))


def labels(path: Path, survivors: int = 10071) -> File:
    np.save(path, (np.arange(PEOPLE) < survivors).astype(np.float64))
    return File(path.name, "", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, File, File]:
    root = tmp_path_factory.mktemp("data")
    return root, features(root / "X.csv"), labels(root / "y.npy")


def test_a_death_is_a_one_and_columns_name_variable_and_level(files: tuple[Path, File, File]) -> None:
    root, x, y = files
    table, death = nhanes_paper.read(str(root), x, y)
    assert death.sum() == 3371
    assert death[0] == 0
    assert death[-1] == 1
    assert table.shape == (PEOPLE, 118)
    assert list(table.columns[:3]) == ["age", "sex=Female", "lab=0"]
    assert table["sex=Female"].iloc[:4].tolist() == [1, 0, 0, 1]
    assert table["age"].isna().sum() == len(range(0, PEOPLE, 9))


def test_a_replicate_is_that_of_the_papers_protocol(
    files: tuple[Path, File, File], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, x, y = files
    monkeypatch.setattr(nhanes_paper, "FEATURES", x)
    monkeypatch.setattr(nhanes_paper, "LABELS", y)
    data = nhanes_paper.load(seed=7, root=str(root))

    table, death = nhanes_paper.read(str(root), x, y)
    kept, test, kept_y, test_y = train_test_split(table, death, train_size=200, random_state=7)
    train, val, _, val_y = train_test_split(kept, kept_y, train_size=100, random_state=7)
    imputer, scaler = SimpleImputer(), StandardScaler()
    scaler.fit(imputer.fit_transform(train))
    np.testing.assert_allclose(data.test.x, scaler.transform(imputer.transform(test)), atol=1e-5)
    np.testing.assert_allclose(data.val.x, scaler.transform(imputer.transform(val)), atol=1e-5)
    assert np.array_equal(data.test.y, test_y)
    assert np.array_equal(data.val.y, val_y)
    assert np.array_equal(data.train.unit, train.index)
    assert list(data.groups) == ["age", "sex", "lab"]


def test_its_configuration_loads_it(
    files: tuple[Path, File, File], configured: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, x, y = files
    monkeypatch.setattr(nhanes_paper, "FEATURES", x)
    monkeypatch.setattr(nhanes_paper, "LABELS", y)
    data = configured("nhanes_paper", root=str(root))
    assert data.name == "nhanes_paper"
    assert [len(part) for part in data.parts.values()] == [100, 100, PEOPLE - 200]


def test_another_table_of_the_same_form_is_refused_by_its_git_blob(files: tuple[Path, File, File]) -> None:
    root, x, y = files
    with pytest.raises(ValueError, match="git blob differs"):
        nhanes_paper.read(str(root), File(x.path, "", "", nhanes_paper.FEATURES.git_blob), y)


def test_a_pointer_in_place_of_the_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "X.csv"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ValueError, match=r"is a git LFS pointer, expected the table"):
        nhanes_paper.read(str(tmp_path), File("X.csv", "", "", git_blob_id(path)), labels(tmp_path / "y.npy"))


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    x, y = features(tmp_path / "X.csv", columns=5, people=10), labels(tmp_path / "y.npy")
    with pytest.raises(ValueError, match=r"is \(10, 5\) .* expected 13442 people x 118 columns"):
        nhanes_paper.read(str(tmp_path), x, y)


def test_labels_of_another_mean_are_refused(files: tuple[Path, File, File]) -> None:
    root, x, _ = files
    y = labels(root / "other.npy", survivors=3371)
    with pytest.raises(ValueError, match=r"mean 0.251: expected 0 or 1 with mean 0.749"):
        nhanes_paper.read(str(root), x, y)


def test_labels_that_need_unpickling_are_refused(files: tuple[Path, File, File]) -> None:
    root, x, _ = files
    path = root / "pickled.npy"
    np.save(path, np.array([print] * 2, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        nhanes_paper.read(str(root), x, File(path.name, "", hashlib.sha256(path.read_bytes()).hexdigest()))
