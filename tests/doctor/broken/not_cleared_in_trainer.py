# expect: gradients-not-cleared 20
import torch
from torch import nn


class Trainer:
    def __init__(self):
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        self.opt = torch.optim.SGD(self.net.parameters(), lr=1e-2, momentum=0.9)

    def fit(self, data):
        self.opt.zero_grad()
        for x, y in data:
            self.batch(x, y)

    def batch(self, x, y):
        with torch.set_grad_enabled(True):
            out = self.net(x)
            loss = nn.functional.mse_loss(out, y)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.opt.step()


t = Trainer()
from torch.utils.data import DataLoader, TensorDataset

t.fit(DataLoader(TensorDataset(torch.randn(32, 3), torch.randn(32, 1)), batch_size=8))
