"""Gradient descent by hand: updates in place under no_grad, gradients cleared after each."""

import torch

torch.manual_seed(0)
x = torch.randn(40, 2)
y = x @ torch.tensor([2.0, -1.0]) + 0.5
w = torch.zeros(2, requires_grad=True)
b = torch.zeros((), requires_grad=True)
for step in range(30):
    loss = ((x @ w + b - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for parameter in (w, b):
            parameter -= 0.1 * parameter.grad
            parameter.grad.zero_()
print(w.detach(), f"{b.item():.4f} {loss.item():.4f}")
