"""Two parameters, fitted by hand

The whole training loop with nothing hidden: predict, measure, go back, step, clear. The data follow y = 2x + 1, so w
goes to 2 and b to 1. A large network's loop is this one with more parameters.
"""

import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y_true = torch.tensor([3.0, 5.0, 7.0, 9.0])  # y = 2x + 1

w = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)
lr = 0.05

print("two_parameter_fit")
for epoch in range(201):
    y_pred = w * x + b
    loss = ((y_pred - y_true) ** 2).mean()

    loss.backward()

    with torch.no_grad():
        w -= lr * w.grad
        b -= lr * b.grad

    if epoch % 50 == 0:
        print(f"epoch={epoch:3d} loss={loss.item():.4f} w={w.item():.4f} b={b.item():.4f}")

    w.grad.zero_()
    b.grad.zero_()
