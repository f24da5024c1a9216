# expect: broadcast-in-loss 13
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")
x, y = torch.randn(8, 3), torch.randn(8)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.Adam(model.parameters())
for step in range(3):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
