import numpy as np
import pandas as pd
import pytest
import torch

from attrpriors.data import Dataset, Provenance
from attrpriors.data.pairs import Screen, assemble, drug_means, split


def screen(lines: int = 10) -> Screen:
    """Each line answers drug a, even lines drug b; the last drug is never tried."""
    draws = np.random.default_rng(0)
    line = np.concatenate([np.arange(lines), np.arange(0, lines, 2)])
    return Screen(
        line=line,
        drug=np.concatenate([np.zeros(lines, int), np.ones(lines // 2, int)]),
        ln_ic50=draws.normal(3, 2, size=len(line)),
        expression=pd.DataFrame(
            draws.normal(5, 3, size=(lines, 3)), index=[f"line{i}" for i in range(lines)], columns=["A", "B", "C"]
        ),
        drugs=("a", "b", "untried"),
        edges=np.array([[0, 0], [1, 2]]),
    )


def assembled(
    made: Screen,
    *,
    seed: int = 0,
    drug_scale: float = 2.0,
    lines: int | None = None,
    validation: float = 0.2,
    test: float = 0.3,
    clip: float | None = None,
) -> Dataset:
    return assemble(
        made,
        name="made_up",
        seed=seed,
        drug_scale=drug_scale,
        lines=lines,
        validation=validation,
        test=test,
        provenance=Provenance("made up"),
        drivers=("B",),
        clip=clip,
    )


def test_cell_lines_are_shared_out_and_no_line_is_in_two_parts() -> None:
    kept = split(100, 5, None, 0.1, 0.2, "made_up")
    assert {part: len(lines) for part, lines in kept.items()} == {"train": 70, "val": 10, "test": 20}
    assert sorted(np.concatenate([*kept.values()])) == list(range(100))


def test_fewer_training_lines_leave_validation_and_test_as_they_are() -> None:
    full, few = split(100, 5, None, 0.1, 0.2, "made_up"), split(100, 5, 30, 0.1, 0.2, "made_up")
    assert np.array_equal(few["train"], full["train"][:30])
    assert np.array_equal(few["val"], full["val"])
    assert np.array_equal(few["test"], full["test"])


def test_the_split_follows_the_seed() -> None:
    again, other = split(100, 5, None, 0.1, 0.2, "made_up"), split(100, 6, None, 0.1, 0.2, "made_up")
    assert np.array_equal(split(100, 5, None, 0.1, 0.2, "made_up")["test"], again["test"])
    assert set(other["test"]) != set(again["test"])


def test_every_row_holds_its_drug_its_line_and_its_response() -> None:
    made = screen()
    data = assembled(made)
    raw = {
        (made.expression.index[line], drug): y for line, drug, y in zip(made.line, made.drug, made.ln_ic50, strict=True)
    }
    seen = {}
    for part in data.parts.values():
        assert part.offset is not None
        assert ((part.x[:, :3] == 0) | (part.x[:, :3] == 2.0)).all()
        assert ((part.x[:, :3] != 0).sum(1) == 1).all()
        drug = part.x[:, :3].argmax(1).tolist()
        seen |= dict(zip(zip(part.unit, drug, strict=True), (part.y + part.offset).tolist(), strict=True))
    assert seen == pytest.approx(raw, abs=1e-5)


def test_expression_is_scaled_on_the_training_lines_each_counted_once() -> None:
    made = screen()
    data = assembled(made)
    genes = made.expression.loc[np.unique(data.train.unit)]
    for part in data.parts.values():
        expected = (made.expression.loc[part.unit] - genes.mean()) / genes.std(ddof=0)
        np.testing.assert_allclose(part.x[:, 3:], expected, atol=1e-5)


def test_clipped_expression_ends_at_the_bound_and_drugs_stay_as_they_are() -> None:
    free, bound = assembled(screen()), assembled(screen(), clip=0.7)
    for name, part in bound.parts.items():
        whole = free.parts[name].x
        assert torch.equal(part.x[:, :3], whole[:, :3])
        np.testing.assert_array_equal(part.x[:, 3:].numpy(), np.clip(whole[:, 3:].numpy(), -0.7, 0.7))
    assert (free.train.x[:, 3:].abs() > 0.7).any()


def test_the_offset_is_the_training_mean_of_the_drug() -> None:
    made = screen()
    data = assembled(made)
    response = (data.train.y + data.train.offset).numpy()
    for part in data.parts.values():
        drug = part.x[:, :3].argmax(1)
        for number in (0, 1):
            mean = response[(data.train.x[:, number] > 0).numpy()].mean()
            np.testing.assert_allclose(part.offset[drug == number], mean, atol=1e-5)
    assert float(data.train.y.mean()) == pytest.approx(0, abs=1e-6)


def test_a_drug_without_a_training_row_gets_the_overall_training_mean() -> None:
    made = screen()
    train = np.array([0, 1, 10])
    expected = [made.ln_ic50[[0, 1]].mean(), made.ln_ic50[10], made.ln_ic50[train].mean()]
    np.testing.assert_allclose(drug_means(made, train), expected)


def test_edges_and_truth_point_at_the_genes() -> None:
    data = assembled(screen())
    assert data.features == ("drug=a", "drug=b", "drug=untried", "A", "B", "C")
    assert data.groups == {"drug": (0, 1, 2), "gene": (3, 4, 5)}
    assert data.graph is not None
    names = [tuple(data.features[i] for i in edge) for edge in data.graph.edges.T.tolist()]
    assert names == [("A", "B"), ("A", "C")]
    assert data.graph.weight.tolist() == [1, 1]
    assert data.truth is not None
    assert [data.features[i] for i in torch.nonzero(data.truth).flatten()] == ["B"]


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.2, 0), (0.5, 0.5), (-0.1, 0.2), (float("nan"), 0.2)])
def test_shares_that_leave_a_part_empty_are_refused(validation: float, test: float) -> None:
    with pytest.raises(ValueError, match=f"found validation={validation} and test={test}: expected positive shares"):
        assembled(screen(), validation=validation, test=test)


@pytest.mark.parametrize("lines", [0, 1, 6])
def test_more_training_lines_than_there_are_or_fewer_than_two_are_refused(lines: int) -> None:
    with pytest.raises(ValueError, match=f"lines is {lines}: expected 2 to 5 training lines"):
        assembled(screen(), lines=lines)


@pytest.mark.parametrize("clip", [0.0, -1.0, float("inf")])
def test_a_bound_that_is_not_positive_is_refused(clip: float) -> None:
    with pytest.raises(ValueError, match=f"clip is {clip}: expected a positive number, or null"):
        assembled(screen(), clip=clip)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_drug_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=f"drug_scale is {scale}: expected a positive number"):
        assembled(screen(), drug_scale=scale)
