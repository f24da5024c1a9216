# expect: non-finite 7
import torch

a = torch.tensor([0.0, 1.0, 2.0], requires_grad=True)
optimizer = torch.optim.SGD([a], lr=0.1)
for step in range(2):
    lengths = torch.sqrt(a.square())
    loss = (lengths - 1).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(a.tolist())
