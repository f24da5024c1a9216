"""Five folds: a list of models, each with its optimizer; the best is found by its held-out loss."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(100, 4)
y = x @ torch.randn(4, 1)
folds = torch.randperm(100).split(20)


def train(rows):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    return model


models, scores = [], []
for i, held_out in enumerate(folds):
    model = train(torch.cat([f for j, f in enumerate(folds) if j != i]))
    model.eval()
    with torch.no_grad():
        scores.append(nn.functional.mse_loss(model(x[held_out]), y[held_out]).item())
    models.append(model)
best = models[scores.index(min(scores))]
print(len(models), f"{min(scores):.4f}", best(x[:1]).shape)
