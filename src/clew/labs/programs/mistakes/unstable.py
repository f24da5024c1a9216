"""Training becomes unstable."""

import torch

w = torch.tensor(2.0, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.05)

for step in range(10):
    loss = (w * 3 - 10) ** 2
    loss.backward()
    optimizer.step()
    print(f"step={step} w={w.item():.2f} loss={loss.item():.2f}")
