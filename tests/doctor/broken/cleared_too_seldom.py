# expect: gradients-not-cleared 13
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())

for epoch in range(2):
    optimizer.zero_grad()  # once per epoch, but there is a step per batch
    for batch in range(4):
        x = torch.randn(8, 4)
        model(x).pow(2).mean().backward()
        optimizer.step()
