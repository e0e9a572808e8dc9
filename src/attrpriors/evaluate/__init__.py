"""EVALUATION: rows (metric, value) of a trained model. The test part is read here, once, after every choice.

A metric is named `name` or `name/setting=level`; `better` knows its direction.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from sklearn import metrics
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .. import prior
from ..attribution import Attribution, ExpectedGradients
from ..attribution.gradient import evaluating, select
from ..data import Dataset, Output, Split
from .noise import NOISE
from .response import within_drug

Row = tuple[str, float]

DIRECTION = {
    "accuracy": "higher",
    "top_5_accuracy": "higher",  # the class is among the five highest scores; where there are more than ten
    "log_loss": "lower",
    "roc_auc": "higher",
    "average_precision": "higher",
    "r2": "higher",
    "r2_within_drug": "higher",
    "correlation_within_drug": "higher",  # evaluate.response
    "spearman_within_drug": "higher",
    "mean_squared_error": "lower",
    "total_variation": "lower",
    "graph_variation": "lower",
    "gini": "higher",
    "standard_error": "lower",  # mean over rows and features, as a share of the mean |phi|
    "completeness_error": "lower",
    "truth_average_precision": "higher",
    "target_auc": "higher",  # evaluate.targets
    "target_auc_p": "lower",
    "target_rank": "lower",
    "gene_sets_enriched": "higher",
    "truth_precision": "higher",  # evaluate.sparsity
    "truth_recall": "higher",
    "features_90": "lower",
    "top_kept": "higher",
    "ruler_top_kept": "higher",
    "rank_correlation": "higher",
    "ssim": "higher",
    "keep": "higher",  # evaluate.masking
    "remove": "higher",
    "sic": "higher",  # evaluate.saliency
    "aic": "higher",
    "sic_by_pixels": "higher",
    "sic_skipped": "lower",
    "aic_skipped": "lower",
    "sic_by_pixels_skipped": "lower",
    "insertion": "higher",
    "deletion": "lower",
    "pointing_game": "higher",
    "prediction_kept": "higher",  # evaluate.selection
    "converged_epoch": "lower",
    "gradients_to_converge": "lower",
    "final_loss": "lower",
    "completeness": "lower",  # evaluate.axioms: violations
    "sensitivity": "lower",
    "dummy": "lower",
    "implementation_invariance": "lower",
    "linearity": "lower",
    "symmetry": "lower",
    "seconds_per_epoch": "lower",
    "peak_memory_mb": "lower",
}


def better(metric: str) -> str:
    """'higher' or 'lower', or '' where a metric has no better side."""
    return DIRECTION.get(metric.split("/")[0].removeprefix("validation_"), "")


def scores_of(model: nn.Module, x: Tensor, batch: int | None = None) -> Tensor:
    """Scores (N, O) in eval mode, without a graph, `batch` rows at once; None: 100 images, to fit a cache, or 1,000."""
    batch = batch or (100 if x.ndim == 4 else 1000)
    with torch.no_grad(), evaluating(model):
        return torch.cat([model(rows) for rows in x.split(batch)])


def performance(scores: Tensor, split: Split, output: Output) -> Iterator[Row]:
    """How well scores (N, O) predict y (N,); regression metrics are in the outcome's own unit."""
    y = split.y.cpu()
    if output == "classes":
        yield "accuracy", float((scores.argmax(1).cpu() == y).double().mean())
        if scores.shape[1] > 10:
            yield "top_5_accuracy", float((scores.topk(5).indices.cpu() == y[:, None]).any(1).double().mean())
        yield "log_loss", float(F.cross_entropy(scores.cpu().double(), y))
        return
    score = scores.reshape(-1).cpu().double()
    if output == "binary":
        yield "accuracy", float(((score > 0) == (y > 0.5)).double().mean())
        yield "log_loss", float(F.binary_cross_entropy_with_logits(score, y.double()))
        yield "roc_auc", float(metrics.roc_auc_score(y, score))
        yield "average_precision", float(metrics.average_precision_score(y, score))
        return
    offset = torch.zeros_like(score) if split.offset is None else split.offset.cpu().double()
    yield "r2", float(metrics.r2_score(y + offset, score + offset))
    yield "mean_squared_error", float(F.mse_loss(score, y.double()))
    if split.offset is not None:  # the outcome less the training mean of its drug
        yield "r2_within_drug", float(metrics.r2_score(y, score))


def validation_score(model: nn.Module, data: Dataset) -> Row:
    """The metric that chooses epochs and strengths, on the validation rows; higher is better."""
    return validation_of(scores_of(model, data.val.x), data)


def validation_of(scores: Tensor, data: Dataset) -> Row:
    """The same, from the scores (N, O) of the validation rows."""
    score, y = scores.detach().cpu().double().numpy(), data.val.y.cpu().numpy()
    if not np.isfinite(score).all():
        raise FloatingPointError("the model's validation scores are not finite")
    if data.output == "classes":
        return "accuracy", float((score.argmax(1) == y).mean())
    if data.output == "binary":
        if y.min() == y.max():
            raise ValueError(f"{data.name}: the validation rows hold one class only, ROC-AUC cannot choose an epoch")
        return "roc_auc", roc_auc(score.reshape(-1), y)
    offset = 0 if data.val.offset is None else data.val.offset.cpu().double().numpy()
    return "r2", float(metrics.r2_score(y + offset, score.reshape(-1) + offset))


def roc_auc(score: np.ndarray, y: np.ndarray) -> float:
    """Share of pairs of a positive and a negative row that are in order, ties by half: the area under the ROC curve.

    score and y (N,). What scikit-learn gives, a hundred times as fast for a hundred rows: it is asked every epoch.
    """
    negative, positive = np.sort(score[y < 0.5]), score[y > 0.5]
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.sum() / (2 * len(negative) * len(positive)))


@dataclass
class Evaluation:
    """What is measured of every run of a table, under one ruler.

    `noise`: levels of each kind of NOISE, for images. `explained`: rows whose attributions are measured. `part`: test,
    or val for choosing, where the test rows stay unread and every metric is named validation_.
    """

    noise: Mapping[str, Sequence[float]]
    explained: int
    generator: torch.Generator
    part: Literal["test", "val"] = "test"

    def __post_init__(self) -> None:
        unknown = set(self.noise) - set(NOISE)
        if unknown:
            raise ValueError(f"evaluate.noise is of {', '.join(NOISE)}; found {', '.join(sorted(unknown))}")
        if self.part not in ("test", "val"):
            raise ValueError(f"evaluate.part is test or val; found {self.part!r}")
        if not isinstance(self.explained, int) or self.explained < 1:
            raise ValueError(f"evaluate.explained is a whole number, 1 or more; found {self.explained!r}")

    def __call__(
        self, model: nn.Module, data: Dataset, explain: Attribution
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        """Rows, and the arrays that figures need: image and phi (M, C, H, W), or features and importance (F,).

        Of images also the class of each, and one image under noise of L levels (L, C, H, W), as it is predicted.
        """
        split = data.parts[self.part]
        attribution_rows, arrays = self._attributions(model, data, split, explain)  # first: noise does not choose rows
        scores = scores_of(model, split.x)
        rows = [*performance(scores, split, data.output)]
        if data.output == "regression" and "drug" in data.groups:
            rows += within_drug(scores, split, len(data.groups["drug"]))
        if len(data.shape) == 3 and data.output == "classes":
            noisy_rows, noisy = self._robustness(model, split, data)
            rows, arrays = rows + noisy_rows, arrays | noisy
        if self.part == "val":
            return [(f"validation_{metric}", value) for metric, value in rows + attribution_rows], arrays
        score, value = validation_score(model, data)
        return [(f"validation_{score}", value), *rows, *attribution_rows], arrays

    def _robustness(self, model: nn.Module, split: Split, data: Dataset) -> tuple[list[Row], dict[str, np.ndarray]]:
        """Accuracy at each level; and the first image of the part, then with each noise, as it is predicted."""
        rows: list[Row] = []
        level_of, images, first = [""], [split.x[0].cpu()], [scores_of(model, split.x[:1])]
        for name, level in ((name, level) for name, levels in self.noise.items() for level in levels):
            x = NOISE[name](split.x, level, self.generator)
            scores = scores_of(model, x)
            rows.append((f"accuracy/{name}={level:g}", dict(performance(scores, split, data.output))["accuracy"]))
            level_of.append(f"{name}={level:g}")
            images.append(x[0].cpu().clone())  # not the others
            first.append(scores[:1])
        names = class_names(data)
        predicted, truth = names[torch.cat(first).argmax(1).cpu()], names[int(split.y[0])]
        noisy = torch.stack(images).numpy()
        return rows, {"level": np.array(level_of), "noisy": noisy, "predicted": predicted, "noisy_class": truth}

    def _attributions(
        self, model: nn.Module, data: Dataset, split: Split, explain: Attribution
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        rows = torch.randperm(len(split), generator=self.generator)[: self.explained].to(split.x.device)
        x, y = split.x[rows], split.y[rows]
        with torch.no_grad():
            phi, error = estimated(explain, model, x, y)  # (M, *F)
        measured: list[Row] = [("gini", -float(prior.gini(phi, data)))]
        if len(data.shape) == 3:
            measured += [("total_variation", float(prior.total_variation(phi, data)))]
            first = [int((y == c).nonzero()[0]) for c in range(data.outputs) if (y == c).any()][:10]
            arrays = {"image": x[first].cpu().numpy(), "phi": phi[first].cpu().numpy()}
            arrays["class"] = class_names(data)[y[first].long().cpu()]
        else:
            importance = phi.abs().mean(0)
            arrays = {"features": np.array(data.features), "importance": importance.cpu().numpy()}
        if data.graph is not None:  # of the data set's own graph, whatever was trained on
            data = replace(data, graph=data.own_graph or data.graph)
            measured += [("graph_variation", float(prior.graph_variation(phi, data)))]
        if data.truth is not None:
            truth, found = data.truth.cpu(), phi.abs().mean(0).cpu()
            measured += [("truth_average_precision", float(metrics.average_precision_score(truth, found)))]
        if len(error):
            measured += [("standard_error", float(error.mean() / phi.abs().mean()))]
        return [*measured, ("completeness_error", completeness_error(model, x, y, phi, data.train.x))], arrays


def class_names(data: Dataset) -> np.ndarray:
    """(O,) their names, or their numbers."""
    return np.array(data.classes or range(data.outputs)).astype(str)


def estimated(explain: Attribution, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """phi and its Monte-Carlo standard error (M, *F), which is empty for an attribution that does not estimate."""
    if isinstance(explain, ExpectedGradients):
        return explain.estimate(model, x, y)
    return explain(model, x, y), x.new_empty(0)


def completeness_error(model: nn.Module, x: Tensor, y: Tensor, phi: Tensor, background: Tensor) -> float:
    """Mean |sum phi - (f(x) - mean f(reference))| over mean |f(x) - mean f(reference)|: 0 is exact.

    Rows x (M, *F), y (M,), phi (M, *F); the mean is over `background` (N, *F), of more than 10,000 rows over
    evenly spaced ones. Axiom 3 of Erion et al. 2021.
    """
    mean = scores_of(model, background[:: -(-len(background) // 10_000)]).mean(0, keepdim=True)  # (1, O)
    gap = select(scores_of(model, x) - mean, y)  # (M,)
    error = (phi.flatten(1).sum(1) - gap).abs().mean()
    scale = gap.abs().mean()
    return float(error / scale if scale > 0 else error)
