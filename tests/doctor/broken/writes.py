# expect: written-behind-autograd 6
import torch

w = torch.tensor([2.0], requires_grad=True)
loss = (w**2).sum()
w.data[0] = 100.0
loss.backward()
print(w.grad)  # 2 · 2 = 4 is right
