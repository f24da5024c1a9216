"""Several passes for one update or for none: Jacobian rows, two losses, Newton."""

import torch

x = torch.randn(3, requires_grad=True)
y = (x[:, None] * torch.ones(3, 2)).sin().sum(0)
rows = []
for i in range(2):
    if x.grad is not None:
        x.grad.zero_()
    y[i].backward(retain_graph=True)
    rows.append(x.grad.clone())
print(torch.stack(rows))
w = torch.nn.Parameter(torch.randn(3))
o = torch.optim.SGD([w], lr=0.1)
for step in range(3):
    o.zero_grad()
    a, b = (w**2).sum(), (w * 3).sum()
    a.backward(retain_graph=True)
    b.backward()
    o.step()
# Newton
t = torch.tensor(4.0, requires_grad=True)
for i in range(4):
    f = t**3 - 2
    (d,) = torch.autograd.grad(f, t, create_graph=True)
    with torch.no_grad():
        t -= f / d
# mixture of grad sums without an optimizer
p = torch.tensor(1.0, requires_grad=True)
for i in range(3):
    (p * i).backward()
print(p.grad)
