# expect: graph-kept-alive 19
import torch
from torch import nn


class Trainer:
    def __init__(self):
        self.model = nn.Linear(3, 1)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.history = {"loss": [], "lr": []}

    def fit(self, x, y):
        for _ in range(6):
            self.optimizer.zero_grad()
            loss = (self.model(x) - y).square().mean()
            loss.backward()
            self.optimizer.step()
            self.history["lr"].append(0.001)
            self.history["loss"].append(loss)


Trainer().fit(torch.randn(8, 3), torch.randn(8, 1))
