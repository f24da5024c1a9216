"""A discrete choice that learns: hard samples with the gradient of the soft ones."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
scores = nn.Parameter(torch.zeros(4))
values = torch.tensor([1.0, 3.0, 2.0, 0.0])
optimizer = torch.optim.Adam([scores], lr=0.1)
for step in range(30):
    choice = F.gumbel_softmax(scores.expand(16, 4), tau=1.0, hard=True)
    loss = -(choice * values).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(scores.softmax(0).argmax().item(), f"{loss.item():.3f}")
