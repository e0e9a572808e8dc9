"""TARGETS: biology that can be wrong. Does a network look at the genes that a drug aims at, when it predicts that drug?

Letters: D drugs with a known target, M rows, G genes, P permutations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from ..attribution import Attribution
from ..data import Dataset, Split
from . import Evaluation, Row, estimated
from .enrichment import enriched


@dataclass
class Targets(Evaluation):
    """Evaluation, and the mean |phi| of every gene over up to `per_drug` rows of each drug with a known target.

    target_auc is the chance that a target is ranked above another gene, mean over drugs: 0.5 is none. target_auc_null
    is its mean where the drugs swap their targets, so that it knows which genes are targets of any drug, but not
    whose; target_auc_p is the share of `permutations` of such swaps that reach target_auc. `pairs` of a drug and a
    gene: the place of the gene among all, from 1. `gene_sets`: see enrichment.
    """

    per_drug: int = 10
    permutations: int = 1000
    pairs: Sequence[Sequence[str]] = ()
    gene_sets: str | None = None

    def __call__(
        self, model: nn.Module, data: Dataset, explain: Attribution
    ) -> tuple[list[Row], dict[str, np.ndarray]]:
        """As of Evaluation; the arrays also hold drugs (D,), drug_importance (D, G), targets (D, G), edges (2, E)."""
        self._check(data)
        rows, arrays = super().__call__(model, data, explain)
        split, genes = data.parts[self.part], np.array(data.groups["gene"])
        names, found = np.array(data.features)[genes], list[Row]()
        if chosen := self._rows(data, split):
            at = torch.from_numpy(np.concatenate(list(chosen.values()))).to(split.x.device)
            with torch.no_grad():
                phi = estimated(explain, model, split.x[at], split.y[at])[0].abs().cpu().numpy()[:, genes]
            parts = np.split(phi, np.cumsum([len(part) for part in chosen.values()])[:-1])
            importance = np.stack([part.mean(0) for part in parts])  # (D, G)
            aims = np.stack([np.isin(names, data.targets.get(drug, ())) for drug in chosen])  # (D, G)
            found += self._ranked(importance[aims.any(1)], aims[aims.any(1)]) if aims.any() else []
            for drug, gene in self.pairs:
                rank = rankdata(-importance[list(chosen).index(drug)])[list(names).index(gene)]
                found += [(f"target_rank/pair={drug} {gene}", float(rank))]
            arrays |= {"drugs": np.array(list(chosen)), "drug_importance": importance, "targets": aims}
        if self.gene_sets is not None:
            counted, scores = enriched(arrays["importance"][genes], names, self.gene_sets, data)
            found, arrays = found + counted, arrays | scores
        if graph := data.own_graph or data.graph:
            arrays |= {"edges": graph.edges.cpu().numpy()}
        named = "validation_" if self.part == "val" else ""
        return rows + [(named + metric, value) for metric, value in found], arrays

    def _check(self, data: Dataset) -> None:
        """ValueError where the data set has neither targets nor genes for `gene_sets`, or not what `pairs` asks for."""
        if not data.targets and (self.gene_sets is None or "gene" not in data.groups):
            raise ValueError(f"evaluate=targets needs a data set that knows the targets of drugs; {data.name} does not")
        for drug, gene in self.pairs:
            if f"drug={drug}" not in data.features or gene not in data.features:
                raise ValueError(f"evaluate.pairs: {data.name} does not have both the drug {drug} and the gene {gene}")

    def _rows(self, data: Dataset, split: Split) -> dict[str, np.ndarray]:
        """Drug -> rows to explain; a drug without any is left out, target_drugs says how many are ranked."""
        wanted = dict.fromkeys([*data.targets, *(drug for drug, _ in self.pairs)])
        order = torch.randperm(len(split), generator=self.generator).numpy()
        column = split.x[:, list(data.groups["drug"])].argmax(1).cpu().numpy()[order]
        names = [data.features[i] for i in data.groups["drug"]]
        found = {drug: order[column == names.index(f"drug={drug}")][: self.per_drug] for drug in wanted}
        return {drug: rows for drug, rows in found.items() if len(rows)}

    def _ranked(self, importance: np.ndarray, aims: np.ndarray) -> Iterator[Row]:
        """How high the targets (D, G) are ranked by importance (D, G), and the null."""
        auc = crossed(importance, aims)
        drugs = len(auc)
        draws = [torch.randperm(drugs, generator=self.generator).numpy() for _ in range(self.permutations)]
        null = np.array([auc[range(drugs), order].mean() for order in draws])  # (P,)
        value = float(np.trace(auc) / drugs)
        yield "target_auc", value
        yield "target_auc_null", float(null.mean())
        yield "target_auc_p", float((1 + (null >= value - 1e-12).sum()) / (1 + len(null)))
        yield "target_drugs", float(drugs)


def crossed(importance: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """Area under the ROC curve (D, D) of each drug's importance (D, G), a row, for the targets of each, a column.

    The Mann-Whitney statistic of the ranks, ties by half, over the number of pairs of a target and another gene.
    """
    ranks, count = rankdata(importance, axis=1), aims.sum(1)
    above = ranks @ aims.T - count * (count + 1) / 2
    return above / (count * (aims.shape[1] - count))
