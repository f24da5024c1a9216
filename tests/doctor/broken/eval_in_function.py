# expect: trained-in-eval-mode 17
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)

    def forward(self, x):
        return self.b(torch.relu(self.norm(self.a(x))))


@torch.no_grad()
def validate(net, x):
    net.eval()
    return net(x).mean().item()


net = Net()
optimizer = torch.optim.Adam(net.parameters())
for epoch in range(3):
    for x in torch.randn(3, 16, 3):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    print(validate(net, torch.randn(16, 3)))
