"""A contrastive loss: two noisy views of each row, the other rows as negatives."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 6))
temperature = nn.Parameter(torch.tensor(1.0))
optimizer = torch.optim.AdamW([*encoder.parameters(), temperature], lr=0.005)
rows = torch.randn(32, 8)
for step in range(20):
    first = F.normalize(encoder(rows + 0.1 * torch.randn_like(rows)), dim=1)
    second = F.normalize(encoder(rows + 0.1 * torch.randn_like(rows)), dim=1)
    scores = first @ second.T * temperature.exp()
    labels = torch.arange(32)
    loss = (F.cross_entropy(scores, labels) + F.cross_entropy(scores.T, labels)) / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        temperature.clamp_(max=3.0)
print(f"{loss.item():.4f}")
