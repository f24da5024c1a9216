"""The older way of an update by hand: through `.data`, after backward and before the next forward."""

import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y = 2 * x + 1
w = torch.zeros(1, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
for step in range(40):
    loss = ((w * x + b - y) ** 2).mean()
    loss.backward()
    w.data -= 0.05 * w.grad.data
    b.data -= 0.05 * b.grad.data
    w.grad.data.zero_()
    b.grad.data.zero_()
print(w.item(), b.item(), loss.item())
