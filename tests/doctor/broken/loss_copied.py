# expect: tensor-copy 12
import torch
from torch import nn

model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 3), torch.randn(8, 1)

for step in range(3):
    optimizer.zero_grad()
    losses = [nn.functional.mse_loss(model(part), target) for part, target in zip(x.split(4), y.split(4))]
    loss = torch.tensor(losses, requires_grad=True).sum()
    loss.backward()
    optimizer.step()
