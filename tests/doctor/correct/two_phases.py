"""Sharpness-aware steps without an optimizer of their own; then a new head on features that are detached."""

import torch
from torch import nn

torch.manual_seed(0)
m = nn.Linear(3, 1)
o = torch.optim.SGD(m.parameters(), lr=0.1)
x, y = torch.randn(8, 3), torch.randn(8, 1)
for i in range(4):
    l = (m(x) - y).square().mean()
    l.backward()
    with torch.no_grad():
        es = []
        n = sum(p.grad.norm() ** 2 for p in m.parameters()).sqrt()
        for p in m.parameters():
            e = 0.05 * p.grad / n
            p.add_(e)
            es.append(e)
    o.zero_grad()
    (m(x) - y).square().mean().backward()
    with torch.no_grad():
        for p, e in zip(m.parameters(), es):
            p.sub_(e)
    o.step()
    o.zero_grad()
body, head1, head2 = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 2)
o1 = torch.optim.Adam([*body.parameters(), *head1.parameters()])
for i in range(3):
    o1.zero_grad()
    head1(body(x)).square().mean().backward()
    o1.step()
o2 = torch.optim.Adam(head2.parameters())
for i in range(3):
    o2.zero_grad()
    nn.functional.cross_entropy(head2(body(x).detach()), torch.zeros(8, dtype=torch.long)).backward()
    o2.step()
