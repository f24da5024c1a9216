"""Everything is logged: activations, weights, gradients, accuracies, losses."""

import numpy as np, torch
from torch import nn

torch.manual_seed(0)
m = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
o = torch.optim.Adam(m.parameters())
s = torch.optim.lr_scheduler.StepLR(o, 2)
x, y = torch.randn(32, 4), torch.randint(0, 3, (32,))
hist, weights, acts = [], [], []
for ep in range(4):
    for i in range(0, 32, 8):
        h = m[1](m[0](x[i : i + 8]))
        acts.append(h.detach().numpy())
        out = m[2](h)
        l = nn.functional.cross_entropy(out, y[i : i + 8])
        o.zero_grad()
        l.backward()
        g = [p.grad.norm().item() for p in m.parameters()]
        o.step()
        acc = (out.argmax(1) == y[i : i + 8]).float().mean().item()
        hist.append(float(l))
        weights.append(m[0].weight.data.clone())
    s.step()
    m.eval()
    with torch.no_grad():
        v = nn.functional.cross_entropy(m(x), y)
    m.train()
    if v < 0.1:
        break
print(
    np.mean(hist),
    torch.tensor(hist).mean(),
    torch.stack(weights).std(),
    m[0].weight.grad.shape,
    m[0].bias.detach().numpy().max(),
)
w = torch.tensor(2.0, requires_grad=True)
print(w.grad)
(w * 3).backward()
print(w.grad, x.grad is None)
w.grad = None
w2 = w.clone().detach().requires_grad_(True)
(w2**2).backward()
with torch.no_grad():
    w2 -= 0.1 * w2.grad
w2.grad.zero_()
