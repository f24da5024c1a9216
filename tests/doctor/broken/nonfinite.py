# expect: non-finite 6
import torch

x = torch.tensor([1.0, 0.5, 0.0])
w = torch.ones(3, requires_grad=True)
loss = torch.log(w * x).sum()
loss.backward()
print(w.grad)
