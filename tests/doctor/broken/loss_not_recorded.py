# expect: loss-detached 18
import torch
from torch import nn

torch.manual_seed(1)
net = nn.Linear(3, 1)
optimizer = torch.optim.SGD(net.parameters(), 0.1)


@torch.no_grad()
def predict(x):
    return net(x)


for _ in range(4):
    loss = predict(torch.randn(5, 3)).pow(2).mean().requires_grad_()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
