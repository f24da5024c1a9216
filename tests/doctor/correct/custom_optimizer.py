"""An optimizer of the program's own, a closure, gradients cleared to zeros at the end of the loop."""

import torch
from torch import nn


class My(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    continue
                p.add_(p.grad, alpha=-g["lr"])
        return loss


m = nn.Linear(3, 1)
o = My(m.parameters())
x = torch.randn(8, 3)
for i in range(4):
    m(x).square().mean().backward()
    o.step()
    o.zero_grad(set_to_none=False)


def closure():
    o.zero_grad()
    l = m(x).square().mean()
    l.backward()
    return l


for i in range(4):
    o.step(closure)
