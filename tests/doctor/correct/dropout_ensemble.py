"""Monte-Carlo dropout in training mode on purpose; BatchNorm's statistics taken anew; a GAN whose fakes need no graph."""

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

torch.manual_seed(0)
x, y = torch.randn(32, 3), torch.randn(32, 1)
model = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(12):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
update_bn(x.split(8), model)
with torch.no_grad():
    draws = torch.stack([model(x) for _ in range(8)])
print(draws.std(0).mean().item() > 0)

make = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
judge = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(), nn.Linear(8, 1))
first = torch.optim.Adam(make.parameters(), lr=0.01)
second = torch.optim.Adam(judge.parameters(), lr=0.01)
for step in range(6):
    with torch.no_grad():
        fake = make(torch.randn(32, 2))
    second.zero_grad()
    (nn.functional.softplus(-judge(x)) + nn.functional.softplus(judge(fake))).mean().backward()
    second.step()
    first.zero_grad()
    nn.functional.softplus(-judge(make(torch.randn(32, 2)))).mean().backward()
    first.step()
