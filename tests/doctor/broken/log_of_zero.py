# expect: non-finite 11
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 2) * 200, torch.ones(8, 1)
for step in range(3):
    p = torch.sigmoid(model(x))
    likelihood = y * torch.log(p) + (1 - y) * torch.log(1 - p)
    loss = -likelihood.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
