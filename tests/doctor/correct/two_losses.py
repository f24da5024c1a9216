"""Two losses of one graph, each with its own backward: the first keeps the graph for the second."""

import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
left, right = nn.Linear(8, 1), nn.Linear(8, 1)
parameters = [*encoder.parameters(), *left.parameters(), *right.parameters()]
optimizer = torch.optim.SGD(parameters, lr=0.05)
x = torch.randn(32, 4)
for step in range(15):
    optimizer.zero_grad()
    code = encoder(x)
    first = (left(code) - x[:, :1]).pow(2).mean()
    second = (right(code) - x[:, 1:2]).abs().mean()
    first.backward(retain_graph=True)
    second.backward()
    optimizer.step()
print(f"{first.item():.4f} {second.item():.4f}")
