# expect: grad-of-non-leaf 7
import torch

x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True).reshape(3, 1)
loss = (x * 2).sum()
loss.backward()
print(x.grad)
