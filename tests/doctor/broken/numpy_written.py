# expect: written-behind-autograd 6
import torch

w = torch.ones(4, requires_grad=True)
x = torch.arange(4.0)
view = x.numpy()
loss = (w * x).sum()
view[:] = 0
loss.backward()
print(w.grad)  # 0, 1, 2, 3 is right
