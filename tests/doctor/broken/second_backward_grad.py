# expect: second-backward 8
import torch

x = torch.randn(5, requires_grad=True)
energy = (x.sin() * x).sum()

(slope,) = torch.autograd.grad(energy, x)
energy.backward()
print(x.grad, slope)
