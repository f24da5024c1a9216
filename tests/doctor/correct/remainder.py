"""Gathered gradients with a remainder: the last group of an epoch is smaller and is stepped, too."""

import torch
from torch import nn


def main():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x = torch.randn(70, 5)
    y = x.mean(1, keepdim=True)
    batches = list(zip(x.split(10), y.split(10)))
    for epoch in range(6):
        total = 0.0
        for p in model.parameters():
            p.grad = None
        for i, (a, b) in enumerate(batches, 1):
            loss = nn.functional.mse_loss(model(a), b)
            (loss / 3).backward()
            total += loss.item()
            if i % 3 == 0 or i == len(batches):
                optimizer.step()
                for p in model.parameters():
                    p.grad = None
        print(epoch, round(total / len(batches), 4))


if __name__ == "__main__":
    main()
