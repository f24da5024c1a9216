"""`.grad` is None."""

import torch

w = torch.tensor(2.0)
b = torch.tensor(1.0, requires_grad=True)

h = b * 3
loss = (w * h - 10) ** 2
loss.backward()
print("w.grad:", w.grad)
print("h.grad:", h.grad)
