# expect: optimizer-other-parameters 9
import torch, copy
from torch import nn


def main():
    a = nn.Linear(2, 2)
    b = copy.deepcopy(a)
    o = torch.optim.Adam(a.parameters())
    for _ in range(3):
        o.zero_grad()
        b(torch.ones(1, 2)).sum().backward()
        o.step()


main()
