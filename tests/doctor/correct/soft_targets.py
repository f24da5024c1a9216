"""Targets that are probabilities themselves, and a softmax whose logarithm is the loss's."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(40, 5)
wanted = F.softmax(2 * x[:, :3], dim=1)
left, right = nn.Linear(5, 3), nn.Linear(5, 3)
optimizer = torch.optim.SGD([*left.parameters(), *right.parameters()], lr=0.2)
for step in range(20):
    loss = F.cross_entropy(left(x), wanted, label_smoothing=0.05)
    attention = F.softmax(right(x), dim=1)
    loss = loss + F.nll_loss(torch.log(attention + 1e-9), wanted.argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
