# expect: written-behind-autograd 9
import torch

torch.manual_seed(0)
w = torch.randn(5, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for step in range(3):
    loss = w.pow(3).sum()
    w.data.clamp_(-0.1, 0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
