"""One's own rows and one's own penalty: a network that predicts without looking at sex."""

from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor

from attrpriors import AttributionPrior, Dataset, ExpectedGradients, NoPrior, Provenance, Split, Trainer

table = load_diabetes()
x = torch.tensor(table.data * 442**0.5).float()
y = torch.tensor((table.target - table.target.mean()) / table.target.std()).float()
parts = np.split(np.random.default_rng(0).permutation(442), [250, 340])
train, val, test = (Split(x[rows], y[rows], unit=rows) for rows in parts)
data = Dataset("diabetes", "regression", 1, train, val, test, Provenance("diabetes"), tuple(table.feature_names))
sex = data.features.index("sex")


def on_sex(phi: Tensor, data: Dataset) -> Tensor:
    """The share of all attribution, phi (B, F), that the feature sex has."""
    return phi[:, sex].abs().sum() / (phi.abs().sum() + 1e-9)


attribution = ExpectedGradients(background=train.x, k=2)
for prior in (NoPrior(), AttributionPrior(3.0, on_sex, attribution, data)):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    adam = partial(torch.optim.Adam, lr=0.01)
    Trainer(epochs=20, batch_size=50, optimizer=adam, generator=torch.Generator().manual_seed(0)).fit(
        model, data, prior
    )
    with torch.no_grad():
        error = (model(test.x).squeeze(1) - test.y).square().mean()
        share = on_sex(attribution(model, test.x), data)
    print(f"{type(prior).__name__}: squared error on test rows {error:.2f}, attribution on sex {share:.1%}")
