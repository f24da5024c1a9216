# expect: parameter-rebound 10
import torch

x = torch.tensor([1.0, 2.0, 3.0])
w = torch.tensor(0.0, requires_grad=True)

for epoch in range(3):
    loss = ((w * x - 2 * x) ** 2).mean()
    loss.backward()
    w = w - 0.1 * w.grad
    print(epoch, loss.item())
