# expect: unregistered-parameters 9
import torch
from torch import nn


class A(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = (nn.Linear(2, 1), nn.Linear(2, 1))
        self.body = nn.Linear(2, 2)

    def forward(self, x):
        return sum(h(self.body(x)) for h in self.heads)


def main():
    m = A()
    for _ in range(4):
        l = m(torch.ones(3, 2)).sum()
        l.backward()
        with torch.no_grad():
            for p in m.parameters():
                p -= 0.1 * p.grad
        m.zero_grad()


main()
