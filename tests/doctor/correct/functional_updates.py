"""Updates that make new tensors and start anew from them, on purpose."""

import torch

w = torch.tensor([1.0, 2.0], requires_grad=True)
for i in range(4):
    l = (w**2).sum()
    l.backward()
    w = w - 0.1 * w.grad
    w = w.detach().requires_grad_()
v = torch.tensor(1.0, requires_grad=True)
for i in range(4):
    l = (v - 3) ** 2
    l.backward()
    with torch.no_grad():
        v = v - 0.1 * v.grad
    v.requires_grad_()
u = torch.tensor(1.0, requires_grad=True)
for i in range(4):
    (g,) = torch.autograd.grad((u - 3) ** 2, u)
    u.data = u.data - 0.1 * g
z = torch.tensor(1.0, requires_grad=True)
for i in range(4):
    ((z - 3) ** 2).backward()
    z.data = z.data - 0.1 * z.grad
    z.grad = None
