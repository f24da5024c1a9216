# expect: numpy-round-trip 14
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 6)
        self.last = nn.Linear(6, 1)

    def forward(self, x):
        hidden = torch.from_numpy(np.tanh(self.first(x).detach().numpy()))
        return self.last(hidden)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    loss = model(torch.randn(8, 2)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
