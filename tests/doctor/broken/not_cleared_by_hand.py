# expect: gradients-not-cleared 11
import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y_true = 2 * x + 1
w = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)

for epoch in range(10):
    loss = ((w * x + b - y_true) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.01 * w.grad
        b -= 0.01 * b.grad
    print(f"epoch={epoch} loss={loss.item():.4f}")
