"""Truncated backpropagation through time: the hidden state goes on from chunk to chunk, its history does not."""

import torch
from torch import nn

torch.manual_seed(0)
series = torch.sin(torch.arange(0, 121) * 0.3).reshape(1, -1, 1)
rnn = nn.RNN(1, 16, batch_first=True)
head = nn.Linear(16, 1)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.01)

for epoch in range(4):
    hidden = torch.zeros(1, 1, 16)
    total = 0.0
    for start in range(0, 120, 20):
        x, y = series[:, start : start + 20], series[:, start + 1 : start + 21]
        hidden = hidden.detach()
        output, hidden = rnn(x, hidden)
        loss = ((head(output) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: {total / 6:.4f}")
