"""Gradient checkpointing: blocks run again in backward instead of keeping what they computed."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.GELU()) for _ in range(4))
head = nn.Linear(16, 1)
optimizer = torch.optim.AdamW([*blocks.parameters(), *head.parameters()], lr=1e-3)
x = torch.randn(32, 16)
y = x[:, :1] * x[:, 1:2]
for step in range(10):
    hidden = x
    for block in blocks:
        hidden = hidden + checkpoint(block, hidden, use_reentrant=False)
    loss = nn.functional.mse_loss(head(hidden), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
