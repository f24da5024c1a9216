"""Two views, one encoder, a predictor, and a stopped gradient on the side that is to be met."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
predictor = nn.Linear(4, 4)
optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05)
rows = torch.randn(32, 6)
for step in range(20):
    first = encoder(rows + 0.1 * torch.randn_like(rows))
    second = encoder(rows + 0.1 * torch.randn_like(rows))
    loss = -(
        F.cosine_similarity(predictor(first), second.detach()).mean()
        + F.cosine_similarity(predictor(second), first.detach()).mean()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
