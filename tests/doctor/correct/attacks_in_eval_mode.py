"""Adversarial examples are made in eval mode, through the same helper as training; updates happen in training mode."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 4)
labels = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def cost(rows, wanted):
    return nn.functional.cross_entropy(model(rows), wanted)


for epoch in range(4):
    model.train()
    for a, b in zip(x.split(16), labels.split(16)):
        optimizer.zero_grad()
        cost(a, b).backward()
        optimizer.step()
    model.eval()
    attacked = x[:16].clone().requires_grad_()
    cost(attacked, labels[:16]).backward()
    changed = (attacked + 0.1 * attacked.grad.sign()).detach()
    model.train()
    optimizer.zero_grad()
    cost(changed, labels[:16]).backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        print(epoch, cost(x, labels).item())
