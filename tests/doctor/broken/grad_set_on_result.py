# expect: grad-set-on-non-leaf 6
import torch

w = torch.tensor([1.0, 2.0], requires_grad=True)
y = w * 3
y.grad = torch.ones(2)
print(y.sum(), w.is_leaf)
