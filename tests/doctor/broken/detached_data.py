# expect: detached 6
import torch

w = torch.tensor(3.0, requires_grad=True)
v = torch.tensor(2.0, requires_grad=True)
hidden = (w * 2).data
loss = (v * hidden - 10) ** 2
loss.backward()
print("w.grad", w.grad, "v.grad", v.grad)
