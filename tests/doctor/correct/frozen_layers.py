"""Fine-tuning: the body is frozen and in eval mode, only the new head learns."""

import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
for parameter in body.parameters():
    parameter.requires_grad_(False)
body.eval()
head = nn.Linear(8, 3)
model = nn.Sequential(body, head)
optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.01)

x = torch.randn(60, 8)
labels = x[:, :3].argmax(1)
for epoch in range(10):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
assert body[0].weight.grad is None
print(f"{loss.item():.4f}")
