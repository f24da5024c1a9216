# expect: dead-relus 13
import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(64, 4)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
with torch.no_grad():
    model[0].bias.fill_(-10.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(15):
    optimizer.zero_grad()
    output = model(x)
    loss = (output - x.sum(1, keepdim=True)).square().mean()
    loss.backward()
    optimizer.step()
