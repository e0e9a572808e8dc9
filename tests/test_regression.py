"""Linear models beside the networks of drug response, and the models that know what a drug is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, Ridge

from attrpriors.attribution import ExpectedGradients
from attrpriors.data import Dataset
from attrpriors.drug_model import drug_embedding, per_drug
from attrpriors.evaluate import scores_of
from attrpriors.model import linear, mlp
from attrpriors.prior import NoPrior
from attrpriors.train.regression import PerDrug, Regression


def doubles(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return data.train.x.double().numpy(), data.train.y.double().numpy()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_a_linear_regression_is_that_of_scikit_learn_on_all_rows(l1_ratio: float, regression: Dataset) -> None:
    model = linear(regression)
    history = Regression(l1_ratio, [0.05]).fit(model, regression, NoPrior())
    x, y = doubles(regression)
    theirs = Ridge(0.05 * len(x)) if l1_ratio == 0 else ElasticNet(0.05, l1_ratio=l1_ratio, tol=1e-10, max_iter=10_000)
    expected = theirs.fit(x, y).predict(regression.test.x.double().numpy())
    np.testing.assert_allclose(scores_of(model, regression.test.x)[:, 0], expected, atol=1e-4)
    assert history["loss"][0] == pytest.approx(np.square(y - theirs.predict(x)).mean(), rel=1e-4)


def test_validation_chooses_the_strength(regression: Dataset) -> None:
    model = linear(regression)
    history = Regression(1.0, [1e9, 0.01]).fit(model, regression, NoPrior())
    assert history["validation_r2"].idxmax() == 1
    assert model[1].weight.any()  # type: ignore[index, operator, union-attr]
    Regression(1.0, [1e9]).fit(model, regression, NoPrior())  # the training mean of each drug
    assert not model[1].weight.any()  # type: ignore[index, operator, union-attr]


def test_ridge_of_each_drug_is_that_of_scikit_learn_on_its_rows(regression: Dataset) -> None:
    data = replace(regression, train=replace(regression.train, x=regression.train.x * torch.tensor([4.0, 4, 1, 1, 1])))
    model = per_drug(data)
    PerDrug([0.1]).fit(model, data, NoPrior())
    x, y = doubles(data)
    for drug in (0, 1):
        own = x[:, drug] > 0
        theirs = Ridge(0.1 * own.sum()).fit(x[own, 2:], y[own])
        np.testing.assert_allclose(scores_of(model, data.train.x[own])[:, 0], theirs.predict(x[own, 2:]), atol=1e-5)


def test_a_drug_without_training_rows_scores_zero(regression: Dataset) -> None:
    one = regression.train.x[:, 0] > 0
    part = replace(
        regression.train,
        x=regression.train.x[one],
        y=regression.train.y[one],
        unit=regression.train.unit[one.numpy()],
        offset=None,
    )
    model = per_drug(regression)
    PerDrug([0.1]).fit(model, replace(regression, train=part), NoPrior())
    assert (scores_of(model, regression.train.x[~one]) == 0).all()


def test_a_drug_embedding_is_an_inner_product_of_the_drug_and_the_genes(regression: Dataset) -> None:
    torch.manual_seed(0)
    model = drug_embedding(regression, rank=2).eval()
    x = regression.test.x
    genes = x[:, 2:] @ model.body[0].weight.T + model.body[0].bias  # type: ignore[index, union-attr, operator]
    drug = model.embedding.weight.T[x[:, :2].argmax(1)] + model.embedding.bias  # type: ignore[union-attr, operator, index]
    np.testing.assert_allclose(model(x)[:, 0].detach(), (genes * drug).sum(1).detach(), atol=1e-6)


def test_a_drug_model_is_explained_as_any_other(regression: Dataset) -> None:
    torch.manual_seed(0)
    model = drug_embedding(regression, rank=2, hidden=[4], dropout=0.5)
    explain = ExpectedGradients(regression.train.x, k=400, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        phi = explain(model, regression.test.x)
    gap = scores_of(model, regression.test.x) - scores_of(model, regression.train.x).mean()
    np.testing.assert_allclose(phi.sum(1), gap[:, 0], atol=0.15 * float(gap.abs().max()))


def test_what_does_not_fit_together_is_refused(binary: Dataset, regression: Dataset) -> None:
    with pytest.raises(ValueError, match="is for outcomes that are regression; binary has binary"):
        Regression(0.0, [1.0]).fit(linear(binary), binary, NoPrior())
    with pytest.raises(ValueError, match=r"train\.l1_ratio is from 0 \(ridge\) to 1 \(LASSO\); found 2"):
        Regression(2, [1.0])
    with pytest.raises(ValueError, match="train=per_drug_ridge is for model=per_drug; found Sequential"):
        PerDrug([1.0]).fit(mlp(regression, [3]), regression, NoPrior())
    with pytest.raises(ValueError, match="a drug one-hot, then genes; binary has other rows"):
        per_drug(binary)
