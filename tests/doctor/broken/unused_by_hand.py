# expect: unused-parameter 5
import torch

w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)
x = torch.tensor(3.0)
loss = (w * x - 1) ** 2
loss.backward()
print(w.grad, b.grad)
