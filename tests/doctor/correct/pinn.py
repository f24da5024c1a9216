"""A net that obeys u' = -u, u(0) = 1: derivatives with autograd.grad inside the loss."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
t = torch.linspace(0, 2, 20).reshape(-1, 1).requires_grad_()
start = torch.zeros(1, 1)
for step in range(60):
    u = net(t)
    (slope,) = torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)
    loss = ((slope + u) ** 2).mean() + (net(start) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    print(f"{loss.item():.5f} {(net(t) - torch.exp(-t)).abs().max().item():.3f}")
