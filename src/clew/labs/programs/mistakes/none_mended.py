"""`.grad` is there: w asks for a gradient, and h, which is no leaf, keeps its own."""

import torch

w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)

h = b * 3
h.retain_grad()
loss = (w * h - 10) ** 2
loss.backward()
print("w.grad:", w.grad)
print("h.grad:", h.grad)
