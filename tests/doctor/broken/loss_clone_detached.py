# expect: loss-detached 11
import torch
from torch import nn

m = nn.Linear(2, 1)
o = torch.optim.SGD(m.parameters(), lr=0.1)
total = []
for _ in range(3):
    o.zero_grad()
    l = m(torch.ones(3, 2)).square().mean()
    total = l.detach().clone().requires_grad_(True)
    total.backward()
    o.step()
    print(l.item())
