# expect: in-place-changed 7
import torch

w = torch.randn(4, requires_grad=True)
y = torch.sigmoid(w)
loss = (y * y).sum()
y += 1
loss.backward()
