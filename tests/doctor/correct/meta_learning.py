"""MAML: an inner update that is part of the graph, an outer one that is not."""

import torch

torch.manual_seed(0)
w = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.05)


def loss_of(w, x, slope):
    return ((w[0] * x + w[1] - slope * x) ** 2).mean()


for step in range(15):
    optimizer.zero_grad()
    outer = 0.0
    for slope in (1.0, 2.0, 3.0):
        x = torch.randn(10)
        (inner,) = torch.autograd.grad(loss_of(w, x, slope), w, create_graph=True)
        adapted = w - 0.1 * inner
        outer = outer + loss_of(adapted, torch.randn(10), slope)
    outer.backward()
    optimizer.step()
print(w.detach(), f"{outer.item():.4f}")
