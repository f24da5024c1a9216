# expect: written-behind-autograd 10
import numpy as np
import torch

buffer = np.zeros(3, dtype=np.float32)
w = torch.ones(3, requires_grad=True)
losses = []
for number in range(3):
    buffer[:] = number
    x = torch.from_numpy(buffer)
    losses.append((w * x).sum())
sum(losses).backward()
print(w.grad)
