"""Newton's method and Hessian-vector products: graphs used more than once, on purpose."""

import torch

x = torch.tensor([1.5, -0.5], requires_grad=True)
for step in range(5):
    f = (1 - x[0]) ** 2 + 5 * (x[1] - x[0] ** 2) ** 2
    (g,) = torch.autograd.grad(f, x, create_graph=True)
    rows = [torch.autograd.grad(g[i], x, retain_graph=True)[0] for i in range(2)]
    with torch.no_grad():
        x -= torch.linalg.solve(torch.stack(rows), g)
v = torch.tensor([1.0, 2.0])
f = (x**3).sum()
(g,) = torch.autograd.grad(f, x, create_graph=True)
(product,) = torch.autograd.grad(g @ v, x)
print(x.detach(), product)
