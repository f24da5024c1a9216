"""A table of which each step uses a few rows: most rows get a gradient of zero."""

import torch
from torch import nn

torch.manual_seed(0)
users, items = nn.Embedding(50, 4), nn.Embedding(40, 4)
optimizer = torch.optim.Adagrad([*users.parameters(), *items.parameters()], lr=0.1)
pairs = torch.stack([torch.randint(50, (200,)), torch.randint(40, (200,))], dim=1)
ratings = ((pairs[:, 0] + pairs[:, 1]) % 5).float()
for epoch in range(3):
    for rows in torch.randperm(200).split(20):
        guess = (users(pairs[rows, 0]) * items(pairs[rows, 1])).sum(1)
        loss = nn.functional.mse_loss(guess, ratings[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"{loss.item():.4f}")
