# expect: grad-without-requires-grad 8
import torch

w = torch.tensor(2.0)
b = torch.tensor(1.0, requires_grad=True)
loss = (w * 3 + b) ** 2
loss.backward()
print("w.grad:", w.grad)
