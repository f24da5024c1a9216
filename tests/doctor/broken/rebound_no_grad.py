# expect: parameter-rebound 12
import torch

x = torch.tensor([1.0, 2.0, 3.0])
w = torch.zeros(3, requires_grad=True)
lr = 0.1

for epoch in range(3):
    loss = (w * x - 2 * x).square().sum()
    loss.backward()
    with torch.no_grad():
        w = w - lr * w.grad
    print(epoch, loss.item())
