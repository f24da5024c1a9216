"""Memory stays as it is: numbers are kept, and no graph with them."""

import torch

w = torch.tensor(2.0, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.02)
losses = []

for _ in range(50):
    loss = (w * 3 - 10) ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

print("mean loss:", f"{sum(losses) / len(losses):.4f}")
