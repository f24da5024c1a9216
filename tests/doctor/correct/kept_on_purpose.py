"""Losses in lists that hold no graph or whose graph is used: computed beforehand, added up, as numbers, detached."""

from collections import deque

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
batches = [(torch.randn(8, 3), torch.randn(8, 1)) for _ in range(6)]

numbers, values, smooth, total = [], [], None, torch.zeros(())
recent = deque(maxlen=3)
for epoch in range(3):
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        numbers.append(loss.item())
        values.append(loss.detach())
        recent.append(loss.detach())
        total += loss.detach()
        smooth = loss.item() if smooth is None else 0.9 * smooth + 0.1 * loss.item()
print(sum(numbers) / 18, torch.stack(values).mean().item(), total.item() / 18, smooth)

for epoch in range(2):  # all losses first, then a pass for each, one update
    optimizer.zero_grad()
    losses = [nn.functional.mse_loss(model(x), y) for x, y in batches]
    for loss in losses:
        loss.backward()
    optimizer.step()
for epoch in range(4):  # one pass for the sum of all
    optimizer.zero_grad()
    total = 0
    for x, y in batches:
        total = total + nn.functional.mse_loss(model(x), y)
    total.backward()
    optimizer.step()

h, w = torch.zeros(2), torch.tensor([0.5, 0.1], requires_grad=True)
for step in range(6):  # the gradient of a sum over time, gathered as it grows
    h = torch.tanh(w * h + 1)
    h.sum().backward(retain_graph=True)
print(w.grad)
