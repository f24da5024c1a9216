# expect: numpy-round-trip 9
import numpy as np
import torch

w = torch.ones(3, requires_grad=True)
b = torch.zeros(3, requires_grad=True)
x = torch.tensor([0.5, 1.0, 2.0])

values = (w * x).detach().numpy()
hidden = torch.tensor(np.exp(values))
loss = (hidden + b).sum()
loss.backward()
print(w.grad, b.grad)
