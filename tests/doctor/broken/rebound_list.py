# expect: grad-of-non-leaf 9
import torch

x = torch.tensor([1.0, 2.0])
params = [torch.zeros(2, requires_grad=True)]
for _ in range(2):
    loss = (params[0] * x - 1).square().sum()
    loss.backward()
    params = [p - 0.1 * p.grad for p in params]
