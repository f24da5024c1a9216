"""The debug checklist

Before `backward()`: does the loss require a gradient, and do the parameters? After it: is each `.grad` there? Then one
trace to keep: the update changes the value, `backward()` alone does not. The order in a step is forward, clear,
backward, update; clearing before the forward pass does as well, so long as old gradients are gone before the new ones.
"""

import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y_true = torch.tensor([3.0, 5.0, 7.0, 9.0])
w = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)

loss = ((w * x + b - y_true) ** 2).mean()
print("loss requires_grad:", loss.requires_grad)
print("w requires_grad:", w.requires_grad)

loss.backward()
print("w.grad:", w.grad)
print("b.grad:", b.grad)

print("w after backward:", w.item())
with torch.no_grad():
    w -= 0.05 * w.grad
print("w after the update:", w.item())
print("safe to log:", loss.item(), loss.detach())
