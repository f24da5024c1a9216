# expect: non-finite 7
import torch

x = torch.tensor([0.0, 0.5, 4.0])
w = torch.ones(3, requires_grad=True)
z = w * x
safe = torch.where(z > 0, torch.log(z), torch.zeros(3))
safe.sum().backward()
print(w.grad)
