"""Gradients of four small batches, gathered on purpose before one update."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(64, 4)
y = x.sum(1, keepdim=True)

accumulate = 4
optimizer.zero_grad()
for epoch in range(5):
    for i, (a, b) in enumerate(zip(x.split(8), y.split(8))):
        loss = nn.functional.mse_loss(model(a), b) / accumulate
        loss.backward()
        if (i + 1) % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch}: {loss.item() * accumulate:.4f}")
