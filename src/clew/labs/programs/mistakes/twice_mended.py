"""Each backward pass has a graph of its own: the forward pass is computed anew."""

import torch

w = torch.tensor(2.0, requires_grad=True)

for _ in range(2):
    loss = (w * 3 - 10) ** 2
    loss.backward()
    print("w.grad:", w.grad.item())
    w.grad.zero_()
