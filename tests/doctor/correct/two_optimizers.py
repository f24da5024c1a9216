"""An optimizer for each kind of parameter: one for the table, one for the rest; both cleared and stepped."""

import torch
from torch import nn

torch.manual_seed(0)
table = nn.Embedding(10, 6)
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 10))
optimizers = [
    torch.optim.Adagrad(table.parameters(), lr=0.1),
    torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9),
]
words = torch.arange(60) % 10
for step in range(20):
    loss = nn.functional.cross_entropy(net(table(words[:-1])), words[1:])
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
print(f"{loss.item():.4f}")
