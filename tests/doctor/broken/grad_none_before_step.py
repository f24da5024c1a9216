# expect: cleared-before-step 12
import torch
from torch import nn

m = nn.Linear(2, 1)
o = torch.optim.SGD(m.parameters(), lr=0.1)
x = torch.randn(4, 2)
for _ in range(3):
    l = m(x).square().mean()
    l.backward()
    for p in m.parameters():
        p.grad = None
    o.step()
