"""Stochastic weight averaging: an AveragedModel, its own schedule, BatchNorm's statistics taken anew."""

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
averaged = AveragedModel(model)
scheduler = SWALR(optimizer, swa_lr=0.03, anneal_epochs=3)
x = torch.randn(64, 4)
y = x[:, :1] + x[:, 1:2]
for epoch in range(12):
    for a, b in zip(x.split(16), y.split(16)):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(a), b)
        loss.backward()
        optimizer.step()
    if epoch >= 6:
        averaged.update_parameters(model)
        scheduler.step()
update_bn(x.split(16), averaged)
averaged.eval()
with torch.no_grad():
    print(f"{nn.functional.mse_loss(averaged(x), y).item():.4f}")
