"""Exercise: a learning rate too large, and one too small

With lr = 0.5 each step overshoots by more than the last error: the loss explodes. With lr = 0.005 it falls, but after
200 epochs it stands where lr = 0.05 stood long before.
"""

import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y_true = torch.tensor([3.0, 5.0, 7.0, 9.0])


def fit(lr, epochs):
    w = torch.tensor(0.0, requires_grad=True)
    b = torch.tensor(0.0, requires_grad=True)
    losses = []
    for _ in range(epochs):
        loss = ((w * x + b - y_true) ** 2).mean()
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            w -= lr * w.grad
            b -= lr * b.grad
        w.grad.zero_()
        b.grad.zero_()
    return losses


for lr, epochs in (
    (0.5, (0, 1, 2, 10, 100)),
    (0.05, (0, 1, 2, 10, 100, 200)),
    (0.005, (0, 1, 2, 10, 100, 200)),
):
    losses = fit(lr, max(epochs) + 1)
    print(f"lr={lr}:", " ".join(f"{epoch}:{losses[epoch]:.3g}" for epoch in epochs))
