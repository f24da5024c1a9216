"""The input is what learns: a picture is changed until a fixed net's features match."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
for p in net.parameters():
    p.requires_grad = False
style = net(torch.randn(1, 1, 8, 8))
picture = torch.zeros(1, 1, 8, 8, requires_grad=True)
optimizer = torch.optim.Adam([picture], lr=0.05)
for step in range(25):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(picture), style) + 1e-3 * picture.abs().mean()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        picture.clamp_(-3, 3)
print(f"{loss.item():.4f}")
