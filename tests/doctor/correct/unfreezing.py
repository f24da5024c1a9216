"""Layers unfrozen after a while and given to the optimizer as a new group."""

import torch
from torch import nn

torch.manual_seed(0)
body, head = nn.Sequential(nn.Linear(6, 12), nn.Tanh()), nn.Linear(12, 2)
body.requires_grad_(False)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
x = torch.randn(48, 6)
labels = (x.sum(1) > 0).long()
for epoch in range(10):
    if epoch == 5:
        body.requires_grad_(True)
        optimizer.add_param_group({"params": body.parameters(), "lr": 0.01})
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(head(body(x)), labels)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
