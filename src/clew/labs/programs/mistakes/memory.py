"""Memory keeps growing."""

import torch

w = torch.tensor(2.0, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.02)
losses = []

for _ in range(50):
    loss = (w * 3 - 10) ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss)

print("mean loss:", f"{sum(losses) / len(losses):.4f}")
