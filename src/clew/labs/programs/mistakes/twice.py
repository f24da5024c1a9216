"""RuntimeError: Trying to backward through the graph a second time."""

import torch

w = torch.tensor(2.0, requires_grad=True)
loss = (w * 3 - 10) ** 2

for _ in range(2):
    loss.backward()
    print("w.grad:", w.grad.item())
    w.grad.zero_()
