# expect: gradients-not-cleared 10
import torch

w = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)
x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y = 2 * x + 1
for epoch in range(5):
    loss = ((w * x + b - y) ** 2).mean()
    loss.backward()
    w.data -= 0.05 * w.grad
    b.data -= 0.05 * b.grad
    w.grad.zero_()
