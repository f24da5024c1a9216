# expect: written-behind-autograd 6
import torch

w = torch.tensor(2.0, requires_grad=True)
loss = w * w
w.data.mul_(100)
loss.backward()
print(w.grad)  # 4 is right
