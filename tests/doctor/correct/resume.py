"""Training saved and gone on with: model, optimizer and schedule are restored."""

import io

import torch
from torch import nn


def make():
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 10, gamma=0.5)


def train(model, optimizer, scheduler, steps):
    for _ in range(steps):
        loss = ((model(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return loss.item()


torch.manual_seed(0)
x = torch.randn(32, 3)
y = x[:, :1] * x[:, 1:2]
things = make()
first = train(*things, 15)
file = io.BytesIO()
torch.save([thing.state_dict() for thing in things], file)
file.seek(0)
again = make()
for thing, state in zip(again, torch.load(file)):
    thing.load_state_dict(state)
second = train(*again, 15)
print(f"{first:.4f} {second:.4f}")
