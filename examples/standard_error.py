"""Expected gradients of a trained network, each with its standard error; one's own network does not change."""

import torch
from sklearn.datasets import load_diabetes

from attrpriors import ExpectedGradients

data = load_diabetes()
x = torch.tensor(data.data * 442**0.5).float()  # 442 people, 10 features with standard deviation 1
y = torch.tensor((data.target - data.target.mean()) / data.target.std()).float()
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(200):
    optimizer.zero_grad()
    (model(x).squeeze(1) - y).square().mean().backward()
    optimizer.step()

explain = ExpectedGradients(background=x, k=50, estimator="controlled")  # or tolerance=0.05: draw until so exact
with torch.no_grad():
    phi, error = explain.estimate(model, x[:1])  # both (1, 10): what each feature adds to the score of person 0
    change = model(x[:1]) - model(x).mean()
strongest = phi[0].abs().argsort(descending=True)[:3].tolist()
print(", ".join(f"{data.feature_names[i]} {phi[0, i]:.3f} ± {error[0, i]:.3f}" for i in strongest))
print(f"sum of all ten {phi.sum():.3f}; score less mean score {change.item():.3f}")
