"""DRUG MODEL: scores of a drug and a cell line's genes, for data whose rows hold a drug one-hot, then genes.

Letters: B batch, D drugs, G genes, R numbers of an embedding.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from .data import Dataset


class DrugModel(nn.Module):
    """score = <embedding(drug), body(genes)> + bias(drug): linear in the drug, so that drugs share what genes are.

    x (B, D + G) -> scores (B, 1); `scale` is the value of a drug's own feature.
    """

    def __init__(self, scale: float, embedding: nn.Linear, body: nn.Module) -> None:
        super().__init__()
        self.scale, self.embedding, self.body = scale, embedding, body
        self.bias = nn.Linear(embedding.in_features, 1, bias=False)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor) -> Tensor:
        drugs = self.embedding.in_features
        drug, genes = x[:, :drugs] / self.scale, x[:, drugs:]
        scores: Tensor = (self.embedding(drug) * self.body(genes)).sum(1, keepdim=True) + self.bias(drug)
        return scores


def per_drug(data: Dataset) -> nn.Module:
    """A linear map of the genes for each drug, which start at 0: `embedding` holds its weights (G, D)."""
    drugs, genes, scale = parts(data)
    embedding = nn.Linear(drugs, genes, bias=False)
    nn.init.zeros_(embedding.weight)
    return DrugModel(scale, embedding, nn.Identity())


def drug_embedding(data: Dataset, rank: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> nn.Module:
    """`rank` numbers R of each drug, times as many of a ReLU network of the genes; dropout precedes each of its layers.

    Without `hidden` it is a matrix of drugs and genes of rank R: ridge of each drug, with weights that drugs share.
    """
    drugs, width, scale = parts(data)
    layers: list[nn.Module] = []
    for units in (*hidden, rank):
        layers += [nn.Dropout(dropout)] * (dropout > 0) + [nn.Linear(width, units), nn.ReLU()]
        width = units
    embedding = nn.Linear(drugs, rank)
    nn.init.normal_(embedding.weight, std=rank**-0.5)
    return DrugModel(scale, embedding, nn.Sequential(*layers[:-1]))


def parts(data: Dataset) -> tuple[int, int, float]:
    """D, G and the value of a drug's own feature; ValueError where a row is no drug one-hot and genes."""
    drug, gene = (tuple(data.groups.get(name, ())) for name in ("drug", "gene"))
    if not drug or not gene or drug + gene != tuple(range(len(data.features))) or data.outputs != 1:
        raise ValueError(f"a drug model is for one score of a drug one-hot, then genes; {data.name} has other rows")
    return len(drug), len(gene), float(data.train.x[:, : len(drug)].max())
