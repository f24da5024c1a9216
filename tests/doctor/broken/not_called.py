# expect: step-before-backward 13
import torch
from torch import nn

model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
x, y = torch.randn(16, 3), torch.randn(16, 1)

for step in range(5):
    optimizer.zero_grad
    loss = (model(x) - y).square().mean()
    loss.backward  # without brackets nothing is called
    optimizer.step()
