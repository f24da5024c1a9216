"""Features taken once without recording, a linear layer trained on them."""

import torch
from torch import nn


@torch.no_grad()
def features(net, x):
    net.eval()
    return torch.cat([net(part) for part in x.split(20)])


@torch.no_grad()
def accuracy(model, x, labels):
    return (model(x).argmax(1) == labels).float().mean().item()


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.BatchNorm1d(32))
x = torch.randn(80, 8)
labels = x[:, :4].argmax(1)
known = features(net, x)
probe = nn.Linear(32, 4)
optimizer = torch.optim.SGD(probe.parameters(), lr=0.3)
for epoch in range(20):
    loss = nn.functional.cross_entropy(probe(known), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f} {accuracy(probe, known, labels):.2f}")
