"""What stands beside the networks."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

from attrpriors.data import Dataset
from attrpriors.evaluate import scores_of
from attrpriors.model import Trees, linear, mlp
from attrpriors.prior import NoPrior, WeightPrior, l1_weights
from attrpriors.train.classical import Boosting, Classical, Logistic


def fitted(trainer: Classical, model: nn.Module, data: Dataset) -> tuple[np.ndarray, float, float]:
    """Test scores, the validation score of the model, and the best of its history."""
    history = trainer.fit(model, data, NoPrior())
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    value = roc_auc_score(data.val.y, scores_of(model, data.val.x).reshape(-1))
    return scores_of(model, data.test.x).reshape(-1).numpy(), value, history["validation_roc_auc"].max()


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_logistic_regression_becomes_the_linear_model_of_best_validation(penalty: str, binary: Dataset) -> None:
    scores, value, best = fitted(Logistic(penalty, [10.0, 1.0, 0.1]), linear(binary), binary)
    assert value == best
    theirs = [
        LogisticRegression(C=1 / s, l1_ratio=float(penalty == "l1"), solver="saga", max_iter=5000, tol=1e-6).fit(
            binary.train.x.double(), binary.train.y
        )
        for s in (10.0, 1.0, 0.1)
    ]
    places = [roc_auc_score(binary.val.y, model.decision_function(binary.val.x)) for model in theirs]
    np.testing.assert_allclose(
        scores, theirs[int(np.argmax(places))].decision_function(binary.test.x), rtol=0.02, atol=0.02
    )


def test_a_strong_l1_penalty_leaves_no_weight_and_the_share_of_the_outcome(binary: Dataset) -> None:
    model = linear(binary)
    Logistic("l1", [20.0]).fit(model, binary, NoPrior())
    odds = float(binary.train.y.mean() / (1 - binary.train.y.mean()))
    assert not model[1].weight.any()  # type: ignore[index, operator, union-attr]
    assert float(model[1].bias.detach()) == pytest.approx(np.log(odds), abs=1e-2)  # type: ignore[index, arg-type]


def test_one_feature_alone_ranks_as_that_feature_does(binary: Dataset) -> None:
    scores, _, _ = fitted(Logistic("l2", [1e-3], feature="Variable 1"), linear(binary), binary)
    assert (np.argsort(scores) == np.argsort(binary.test.x[:, 1].numpy())).all()
    with pytest.raises(ValueError, match=r"^train\.feature is a feature of binary; found 'age'$"):
        Logistic("l2", [1.0], feature="age").fit(linear(binary), binary, NoPrior())


def test_boosted_trees_stop_where_validation_is_best(binary: Dataset) -> None:
    model = Trees()
    with pytest.raises(ValueError, match="no score before train=boosting has fitted it"):
        model(binary.test.x)
    trainer = Boosting(trees=[1, 2, 4, 8], learning_rate=0.3, min_samples_leaf=2)
    scores, value, best = fitted(trainer, model, binary)
    assert value == best
    count = 2 ** int(trainer.fit(model, binary, NoPrior())["validation_roc_auc"].idxmax())
    theirs = HistGradientBoostingClassifier(
        max_iter=count, learning_rate=0.3, min_samples_leaf=2, early_stopping=False, random_state=0
    ).fit(binary.train.x.double().numpy(), binary.train.y.numpy())
    np.testing.assert_allclose(scores, theirs.decision_function(binary.test.x.numpy()), rtol=1e-5)


def test_what_does_not_fit_together_is_refused_in_a_sentence(binary: Dataset, images: Dataset) -> None:
    with pytest.raises(ValueError, match=r"^this classical model is for outcomes that are binary; images has classes$"):
        Logistic("l1", [1.0]).fit(linear(images), images, NoPrior())
    with pytest.raises(ValueError, match=r"^classical models have penalties of their own: prior=none trains them$"):
        Logistic("l1", [1.0]).fit(linear(binary), binary, WeightPrior(1.0, l1_weights, "all"))
    with pytest.raises(ValueError, match=r"^a linear candidate is for model=linear; found \['Linear', 'Linear'\]$"):
        Logistic("l1", [1.0]).fit(mlp(binary, [3]), binary, NoPrior())
    with pytest.raises(ValueError, match=r"^train=boosting is for model=trees; found Sequential$"):
        Boosting([1], 0.1, 2).fit(linear(binary), binary, NoPrior())
    with pytest.raises(ValueError, match=r"^train.penalty is l1 or l2; found 'l3'$"):
        Logistic("l3", [1.0])
    with pytest.raises(ValueError, match=r"^train.strengths are numbers above 0; found \[0.0\]$"):
        Logistic("l1", [0.0])
