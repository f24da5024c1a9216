# expect: broadcast-in-loss 12
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(32, 3)
y = x.sum(dim=1)  # (32,)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(5):
    prediction = model(x)  # (32, 1)
    loss = ((prediction - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
