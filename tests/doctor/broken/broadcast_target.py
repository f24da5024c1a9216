# expect: broadcast-in-loss 8
import torch

x = torch.linspace(0, 1, 20)
y = (2 * x + 1).reshape(20, 1)
w = torch.zeros(1, requires_grad=True)
for step in range(3):
    error = w * x + 1 - y
    loss = error.abs().mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
