"""Gradients that the program writes itself: an evolution strategy, and autograd.grad."""

import torch
from torch import nn

m = nn.Linear(3, 1)
o = torch.optim.SGD(m.parameters(), lr=0.01)
x = torch.randn(8, 3)
for i in range(4):
    for p in m.parameters():
        p.grad = torch.zeros_like(p)
    base = [p.detach().clone() for p in m.parameters()]
    for k in range(3):
        eps = [torch.randn_like(p) for p in m.parameters()]
        with torch.no_grad():
            for p, b, e in zip(m.parameters(), base, eps):
                p.copy_(b + 0.1 * e)
            r = -m(x).square().mean()
            for p, b, e in zip(m.parameters(), base, eps):
                p.copy_(b)
                p.grad -= r.item() * e
    o.step()
for i in range(3):
    g = torch.autograd.grad(m(x).square().mean(), list(m.parameters()))
    for p, gi in zip(m.parameters(), g):
        p.grad = gi
    o.step()
