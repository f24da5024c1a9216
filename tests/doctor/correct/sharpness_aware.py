"""SAM: up the slope first, then the gradient from there is used at the old place. Two backwards in each step."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(40, 3)
y = x.prod(1, keepdim=True)
for step in range(20):
    nn.functional.mse_loss(model(x), y).backward()
    with torch.no_grad():
        length = torch.stack([p.grad.norm() for p in model.parameters()]).norm() + 1e-12
        moves = [0.05 * p.grad / length for p in model.parameters()]
        for p, move in zip(model.parameters(), moves):
            p.add_(move)
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    with torch.no_grad():
        for p, move in zip(model.parameters(), moves):
            p.sub_(move)
    optimizer.step()
    optimizer.zero_grad()
print(f"{loss.item():.4f}")
