# expect: in-place-changed 12
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
output = model(torch.randn(8, 3))
first, second = output.mean(), output.square().mean()

first.backward(retain_graph=True)
optimizer.step()
optimizer.zero_grad()
second.backward()
