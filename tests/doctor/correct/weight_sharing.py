"""One weight in two places: the table of a language model is its output layer as well."""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, words, width):
        super().__init__()
        self.table = nn.Embedding(words, width)
        self.body = nn.Linear(width, width)
        self.out = nn.Linear(width, words, bias=False)
        self.out.weight = self.table.weight

    def forward(self, x):
        return self.out(torch.tanh(self.body(self.table(x))))


torch.manual_seed(0)
model = Model(20, 8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
words = torch.arange(100) % 20
for step in range(20):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(words[:-1]), words[1:])
    loss.backward()
    optimizer.step()
print(len(list(model.parameters())), f"{loss.item():.4f}")
