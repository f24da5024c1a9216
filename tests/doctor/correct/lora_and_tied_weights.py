"""LoRA on a frozen layer, an output layer that shares the embedding, a model made double after its optimizer."""

import copy, torch
from torch import nn


class LoRA(nn.Module):
    def __init__(self, base, r=2):
        super().__init__()
        self.base = base
        for p in base.parameters():
            p.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(r, base.in_features) * 0.1)
        self.b = nn.Parameter(torch.zeros(base.out_features, r))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T


m = nn.Sequential(LoRA(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 4))

o = torch.optim.AdamW([p for p in m.parameters() if p.requires_grad])
best = None
for i in range(4):
    o.zero_grad()
    l = (m(torch.randn(8, 4)) - 1).square().mean()
    l.backward()
    o.step()
    if best is None or l.item() < best[0]:
        best = (l.item(), copy.deepcopy(m.state_dict()))
m.load_state_dict(best[1])


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(10, 6)
        self.o = nn.Linear(6, 10, bias=False)
        self.o.weight = self.e.weight

    def forward(self, t):
        return self.o(self.e(t))


lm = LM()
o = torch.optim.SGD(lm.parameters(), lr=0.1)
for i in range(3):
    t = torch.randint(0, 10, (4, 5))
    l = nn.functional.cross_entropy(lm(t).flatten(0, 1), t.flatten())
    o.zero_grad()
    l.backward()
    o.step()
m2 = nn.Linear(2, 2)
o = torch.optim.SGD(m2.parameters(), lr=0.1)
m2.double()
for i in range(3):
    o.zero_grad()
    m2(torch.randn(3, 2, dtype=torch.float64)).sum().backward()
    o.step()
