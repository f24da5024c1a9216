# expect: detached 14
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 2)

    def forward(self, x):
        h = self.a(x)
        h = h.detach().clone()
        h = h.relu() * 2
        return self.b(h)


def main():
    net = Net()
    opt = torch.optim.Adam(net.parameters())
    for _ in range(3):
        loss = net(torch.randn(4, 4)).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(loss.item())


main()
