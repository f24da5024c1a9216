# expect: optimizer-other-parameters 10
import torch
from torch import nn


def main():
    def build():
        return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))

    optimizer = torch.optim.Adam(build().parameters(), lr=1e-2)
    model = build()
    for _ in range(3):
        loss = model(torch.randn(8, 2)).square().mean()
        model.zero_grad()
        loss.backward()
        optimizer.step()


main()
