"""A prior in a loop of one's own: two of twenty features matter, and the network learns to say so."""

import torch

from attrpriors import ExpectedGradients, gini

torch.manual_seed(0)
x = torch.randn(300, 20)
y = x[:, 0] - x[:, 1] + 0.5 * torch.randn(300)
train, new = slice(0, 100), slice(100, 300)

for strength in (0.0, 0.5):
    torch.manual_seed(1)  # the same initial weights
    model = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    attribution = ExpectedGradients(background=x[train])  # references are drawn from these rows
    for _ in range(200):
        error = (model(x[train]).squeeze(1) - y[train]).square().mean()
        loss = error + strength * gini(attribution(model, x[train]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (model(x[new]).squeeze(1) - y[new]).square().mean()
        concentration = -gini(attribution(model, x[new]))
    print(f"strength {strength}: squared error on new rows {error:.2f}, Gini coefficient {concentration:.2f}")
