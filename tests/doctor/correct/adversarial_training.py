"""Adversarial training: a backward for the input's gradient, then a clean start for the weights'."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 5)
labels = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
for step in range(15):
    attacked = x.clone().requires_grad_(True)
    criterion(model(attacked), labels).backward()
    attacked = (attacked + 0.1 * attacked.grad.sign()).detach()
    optimizer.zero_grad()
    loss = 0.5 * (criterion(model(x), labels) + criterion(model(attacked), labels))
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
