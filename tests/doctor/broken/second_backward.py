# expect: second-backward 7
import torch

w = torch.tensor(2.0, requires_grad=True)
y = (w * 3 - 10) ** 2
y.backward()
y.backward()
