"""A siamese net: the same encoder for both of a pair, a margin between alike and unlike."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
optimizer = torch.optim.Adam(encoder.parameters(), lr=0.005)
centres = torch.randn(2, 5) * 2
kinds = torch.arange(40) % 2
x = centres[kinds] + 0.3 * torch.randn(40, 5)
for step in range(25):
    other = torch.randperm(40)
    same = (kinds == kinds[other]).float()
    distance = F.pairwise_distance(encoder(x), encoder(x[other]))
    loss = (same * distance**2 + (1 - same) * F.relu(2 - distance) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
