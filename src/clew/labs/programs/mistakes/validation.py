"""Validation is slow and needs much memory."""

import torch
from torch import nn

x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
held_out = torch.tensor([[5.0], [6.0]])
model = nn.Linear(1, 1)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
loss_of = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for epoch in range(4):
    loss = loss_of(model(x), 2 * x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    error = loss_of(model(held_out), 2 * held_out)
    print(f"epoch={epoch} held out: {error.item():.4f}")
